import numpy as np
import pytest

from training.metrics import nss, on_photo


def test_nss_is_the_mean_z_score_at_fixations() -> None:
    random = np.random.default_rng(0)
    saliency_map = random.random((48, 64), np.float32)
    fixations = (random.random((30, 2)) * (64, 48)).astype(np.float32)
    z_scores = (saliency_map - saliency_map.mean()) / saliency_map.std()
    expected = np.mean([z_scores[int(y), int(x)] for x, y in fixations])
    assert nss(saliency_map, fixations) == pytest.approx(float(expected), abs=1e-5)
    assert nss(saliency_map * 7 + 3, fixations) == pytest.approx(float(expected), abs=1e-4)


def test_a_constant_map_scores_nothing() -> None:
    assert nss(np.ones((4, 4), np.float32), np.zeros((3, 2), np.float32)) == 0


def test_maps_are_interpolated_to_the_photo() -> None:
    wide = on_photo(np.array([[0, 1]], np.float32), width=100, height=10)
    assert wide.shape == (10, 100)
    assert (np.diff(wide[0]) >= 0).all()
