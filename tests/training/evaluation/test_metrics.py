"""Each metric against pysaliency, the field's reference implementation, on the same maps."""

from collections.abc import Callable

import numpy as np
import pysaliency
import pytest
from numpy.typing import NDArray
from pysaliency.metrics import MIT_KLDiv

from training.evaluation.metrics import (
    BLUR,
    CENTRE_GRID,
    auc_judd,
    cc,
    centre_bias,
    fixation_map,
    information_gain,
    kld,
    nss,
    on_photo,
    shuffled_auc,
    sim,
)

SIZES = [(64, 48), (40, 60), (90, 30)]  # width, height


class MapModel(pysaliency.SaliencyMapModel):
    """The maps of three photos, which it knows by their shape."""

    def __init__(self, maps: list[NDArray[np.float32]]) -> None:
        super().__init__(caching=False)
        self.maps = {m.shape: m for m in maps}

    def _saliency_map(self, stimulus: NDArray[np.uint8]) -> NDArray[np.float64]:
        return self.maps[stimulus.shape[:2]].astype(float)


class DensityModel(pysaliency.Model):
    def __init__(self, maps: list[NDArray[np.float32]]) -> None:
        super().__init__(caching=False)
        self.maps = {m.shape: m for m in maps}

    def _log_density(self, stimulus: NDArray[np.uint8]) -> NDArray[np.float64]:
        density = self.maps[stimulus.shape[:2]].astype(float)
        return np.log(density / density.sum())


class Case:
    """Three photos of noise with fixations, some on the same pixel, and maps with many ties."""

    def __init__(self, seed: int, levels: int | None = None) -> None:
        random = np.random.default_rng(seed)
        self.fixations = [
            (random.random((n, 2)) * size).astype(np.float32)
            for n, size in zip((30, 17, 1), SIZES, strict=True)
        ]
        self.fixations[0][1] = self.fixations[0][0]
        self.maps = [random.random((h, w), np.float32) + 0.01 for w, h in SIZES]
        if levels:
            self.maps = [np.ceil(m * levels) / np.float32(levels) for m in self.maps]
        self.stimuli = pysaliency.Stimuli(
            [random.integers(0, 255, (h, w, 3), np.uint8) for w, h in SIZES]
        )
        self.reference = pysaliency.Fixations.create_without_history(
            *np.concatenate(self.fixations).astype(float).T,
            n=np.repeat(np.arange(3), [len(f) for f in self.fixations]),
        )

    def elsewhere(self, index: int) -> NDArray[np.float32]:
        relative = [f / size for f, size in zip(self.fixations, SIZES, strict=True)]
        return np.concatenate(relative[:index] + relative[index + 1 :]) * SIZES[index]

    def human(self, index: int) -> NDArray[np.float32]:
        return fixation_map(self.fixations[index], *SIZES[index])


CASES = [Case(0), Case(1, levels=4), Case(2, levels=2)]


def per_photo(metric: Callable[[int], float]) -> list[float]:
    return [metric(index) for index in range(3)]


@pytest.mark.parametrize("case", CASES)
def test_nss_is_pysaliencys(case: Case) -> None:
    expected = MapModel(case.maps).NSSs(case.stimuli, case.reference)
    means = per_photo(lambda i: expected[case.reference.n == i].mean())
    assert per_photo(lambda i: nss(case.maps[i], case.fixations[i])) == pytest.approx(means)


@pytest.mark.parametrize("case", CASES)
def test_auc_judd_is_pysaliencys_without_jitter(case: Case) -> None:
    expected = MapModel(case.maps).AUC_per_image(
        case.stimuli, case.reference, nonfixations="unfixated", thresholds="fixations"
    )
    assert per_photo(lambda i: auc_judd(case.maps[i], case.fixations[i])) == pytest.approx(expected)


@pytest.mark.parametrize("case", CASES)
def test_shuffled_auc_is_pysaliencys(case: Case) -> None:
    expected = MapModel(case.maps).AUC_per_image(
        case.stimuli, case.reference, nonfixations="shuffled"
    )
    got = per_photo(lambda i: shuffled_auc(case.maps[i], case.fixations[i], case.elsewhere(i)))
    assert got == pytest.approx(expected)


@pytest.mark.parametrize("case", CASES)
def test_the_humans_map_is_pysaliencys(case: Case) -> None:
    for i, (width, height) in enumerate(SIZES):
        blurred = pysaliency.FixationMap(case.stimuli, case.reference, kernel_size=BLUR * width)
        expected = blurred.saliency_map(case.stimuli[i])
        assert case.human(i).shape == (height, width)
        np.testing.assert_allclose(case.human(i), expected / expected.sum(), atol=1e-6)


@pytest.mark.parametrize("case", CASES)
def test_cc_sim_and_kld_are_pysaliencys(case: Case) -> None:
    ours, human = MapModel(case.maps), MapModel(per_photo(case.human))
    correlations = per_photo(lambda i: cc(case.maps[i], case.human(i)))
    assert correlations == pytest.approx(ours.CCs(case.stimuli, human).tolist())
    shared = per_photo(lambda i: sim(case.maps[i], case.human(i)))
    assert shared == pytest.approx(ours.SIMs(case.stimuli, human).tolist())
    with np.errstate(divide="ignore"):
        expected = per_photo(
            lambda i: MIT_KLDiv(case.maps[i].astype(float), case.human(i).astype(float))
        )
    divergences = per_photo(lambda i: kld(case.maps[i], case.human(i)))
    assert divergences == pytest.approx(expected)


@pytest.mark.parametrize("case", CASES)
def test_information_gain_is_pysaliencys(case: Case) -> None:
    baselines = [on_photo(centre_bias(case.elsewhere(i) / s), *s) for i, s in enumerate(SIZES)]
    expected = DensityModel(case.maps).information_gains(
        case.stimuli, case.reference, DensityModel(baselines)
    )
    means = per_photo(lambda i: expected[case.reference.n == i].mean())
    got = per_photo(lambda i: information_gain(case.maps[i], baselines[i], case.fixations[i]))
    assert got == pytest.approx(means)


@pytest.mark.parametrize("value", [0, 0.1, 1, 1 / 1024])
def test_a_constant_map_scores_nothing(value: float) -> None:
    for constant in (
        np.full((48, 64), value, np.float32),
        on_photo(np.full((7, 5), value, np.float32), 64, 48),
    ):
        fixations, elsewhere = CASES[0].fixations[0], CASES[0].elsewhere(0)
        human = CASES[0].human(0)
        uniform = np.ones((48, 64), np.float32)
        assert nss(constant, fixations) == 0
        assert auc_judd(constant, fixations) == 0.5
        assert shuffled_auc(constant, fixations, elsewhere) == 0.5
        assert cc(constant, human) == cc(human, constant) == 0
        assert sim(constant, human) == pytest.approx(sim(uniform, human), rel=1e-5)
        assert kld(constant, human) == pytest.approx(kld(uniform, human), rel=1e-5)
        assert information_gain(constant, uniform, fixations) == pytest.approx(0, abs=1e-5)


def test_ties_get_half() -> None:
    halves = np.repeat(np.array([[0, 1]], np.float32), 10, axis=1).repeat(4, axis=0)
    left, right = np.array([[2.0, 2.0]]), np.array([[12.0, 2.0]])
    assert shuffled_auc(halves, right, np.concatenate([left, right])) == 0.75
    assert shuffled_auc(halves, left, np.concatenate([left, right])) == 0.25
    assert auc_judd(halves, right) == pytest.approx((39 / 2 + 40) / 79)
    assert auc_judd(halves, left) == 0.5


def test_a_single_fixation_on_the_peak_is_found() -> None:
    peak = fixation_map(np.array([[20.5, 30.5]]), 64, 48)
    one = np.array([[20.5, 30.5]], np.float32)
    assert auc_judd(peak, one) == 1
    assert shuffled_auc(peak, one, np.array([[60, 3], [1, 1]], np.float32)) == 1
    assert cc(peak, fixation_map(one, 64, 48)) == pytest.approx(1)
    assert sim(peak, fixation_map(one, 64, 48)) == pytest.approx(1)
    assert kld(peak, fixation_map(one, 64, 48)) == pytest.approx(0, abs=1e-6)
    assert information_gain(peak, np.ones((48, 64), np.float32), one) > 3
    assert nss(peak, one) > 3


def test_a_density_of_zero_at_a_fixation_costs_much_but_not_everything() -> None:
    peak = np.zeros((48, 64), np.float32)
    peak[3, 3] = 1
    fixations = np.array([[60, 40]], np.float32)
    assert -60 < information_gain(peak, np.ones_like(peak), fixations) < -30
    assert 10 < kld(peak, fixation_map(fixations, 64, 48)) < 40


def test_scaling_a_map_changes_nothing() -> None:
    case = CASES[0]
    a, b = case.maps[0], case.maps[0] * np.float32(7)
    fixations, human = case.fixations[0], case.human(0)
    assert nss(a, fixations) == pytest.approx(nss(b, fixations), rel=1e-5)
    assert nss(b + 3, fixations) == pytest.approx(nss(b, fixations), rel=1e-3)
    assert sim(a, human) == pytest.approx(sim(b, human))
    assert kld(a, human) == pytest.approx(kld(b, human))


def test_the_centre_bias_is_where_fixations_are() -> None:
    relative = np.random.default_rng(0).normal((0.3, 0.7), 0.05, (500, 2))
    bias = centre_bias(relative)
    row, column = np.unravel_index(bias.argmax(), bias.shape)
    assert bias.sum() == pytest.approx(1, abs=1e-4)
    assert bias.min() > 0
    assert (column / CENTRE_GRID, row / CENTRE_GRID) == pytest.approx((0.3, 0.7), abs=0.05)


def test_maps_are_interpolated_to_the_photo() -> None:
    wide = on_photo(np.array([[0, 1]], np.float32), width=100, height=10)
    assert wide.shape == (10, 100)
    assert (np.diff(wide[0]) >= 0).all()
