from pathlib import Path

import lightning_fabric
import pytest
import torch

from tests.training.samples import TINY, write_set
from training.data.examples import Examples
from training.data.fixations import read_fixation_set
from training.data.sources import human_densities
from training.networks.student import Student
from training.stages import fit
from training.stages.targets import both_losses

SCHEDULE = fit.Schedule(steps=12, batch=4)
LOSS = both_losses(3.0)


class Interrupted(Examples):
    """As if somebody pressed Ctrl-C while a batch was being made."""

    at: int

    def __getitem__(self, key: tuple[int, int]) -> tuple[torch.Tensor, ...]:  # type: ignore[override]
        if key[1] >= self.at:
            raise KeyboardInterrupt
        return super().__getitem__(key)


def examples(folder: Path, kind: type[Examples] = Examples) -> Examples:
    photos = read_fixation_set(folder)
    paths = [photo.path for photo in photos]
    return kind(paths, human_densities(photos), TINY.canvas, TINY.grid, augment=True)


@pytest.fixture
def fabric() -> lightning_fabric.Fabric:
    return lightning_fabric.Fabric(accelerator="cpu", devices=1)


def test_an_interrupted_fit_ends_as_if_it_had_not_been(
    tmp_path: Path, fabric: lightning_fabric.Fabric, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_set(tmp_path / "set")
    torch.manual_seed(0)
    network = Student(TINY)
    start = {name: value.clone() for name, value in network.state_dict().items()}
    whole = fit.fit(network, examples(folder), LOSS, SCHEDULE, tmp_path / "whole", fabric)

    monkeypatch.setattr(fit, "SAVE_SECONDS", 0)
    broken = examples(folder, Interrupted)
    broken.at = 7 * SCHEDULE.batch  # type: ignore[attr-defined]
    network.load_state_dict(start)
    with pytest.raises(KeyboardInterrupt):
        fit.fit(network, broken, LOSS, SCHEDULE, tmp_path / "broken", fabric)
    saved = torch.load(tmp_path / "broken" / "state.ckpt", weights_only=True)
    assert 0 < saved["step"] <= 7

    resumed = fit.fit(Student(TINY), examples(folder), LOSS, SCHEDULE, tmp_path / "broken", fabric)
    for name, value in whole.state_dict().items():
        assert torch.allclose(resumed.state_dict()[name], value, atol=1e-5), name


def test_the_rate_rises_and_falls() -> None:
    schedule = fit.Schedule(steps=100)
    rates = [schedule.rate_at(step) for step in range(100)]
    assert rates.index(max(rates)) == 4
    assert rates[0] < 0.3
    assert rates[-1] < 0.01
    assert all(0 < rate <= 1 for rate in rates)


def test_cross_entropy_is_the_negative_log_likelihood() -> None:
    log_density = torch.log_softmax(torch.randn(2, 16), 1).view(2, 4, 4)
    density = torch.zeros(2, 4, 4)
    density[0, 1, 2] = density[1, 3, 0] = 1
    expected = torch.stack([-log_density[0, 1, 2], -log_density[1, 3, 0]])
    assert torch.allclose(fit.cross_entropy(log_density, density), expected)
