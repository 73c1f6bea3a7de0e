import json
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file, save_file

from tests.training.samples import TINY, inputs
from training.evaluation.evaluate import CHECKPOINT
from training.networks import checkpoint, student
from training.networks.student import Student


def test_densities_sum_to_one_and_integrity_is_a_share() -> None:
    density, integrity = Student(TINY)(*inputs())
    assert density.shape == integrity.shape == (2, 8, 8)
    assert torch.allclose(density.sum(dim=(1, 2)), torch.ones(2))
    assert ((integrity > 0) & (integrity < 1)).all()


def test_a_checkpoint_rebuilds_a_network_of_any_widths(tmp_path: Path) -> None:
    network = Student(replace(TINY, lateral=16, readout=24, prior=4)).eval()
    student.save(network, tmp_path / "student.safetensors", nss="1.0")
    loaded = student.load(tmp_path / "student.safetensors")
    assert loaded.sizes == network.sizes
    batch = inputs()
    for one, other in zip(loaded(*batch), network(*batch), strict=True):
        assert torch.equal(one, other)


@pytest.mark.parametrize(("lateral", "readout"), [(16, 16), (8, 8), (24, 8)])
def test_an_earlier_student_is_learned_on(lateral: int, readout: int, tmp_path: Path) -> None:
    """One of another canvas and another readout that knows the density alone."""
    path = tmp_path / "earlier.safetensors"
    network = Student(replace(TINY, lateral=lateral, readout=readout)).eval()
    student.save(network, path)
    weights = load_file(path)
    for name in ("readout.score.weight", "readout.score.bias"):
        weights[name] = weights[name][:1].clone()
    del weights["finalizer.log_sigma_integrity"]
    save_file(weights, path, {"sizes": network.sizes.to_json()})
    wanted = replace(TINY, canvas=96, grid=12, lateral=16, readout=16)
    continued = student.continued(path, wanted).eval()
    assert continued.sizes == replace(wanted, lateral=max(lateral, 16))
    picture = torch.rand(1, 3, 96, 96)
    with torch.inference_mode():
        assert torch.allclose(continued.scores(picture)[:, 0], network.scores(picture)[:, 0])
        assert continued.predict(*inputs())[1].sigmoid().mean() < 0.3


def test_what_is_no_checkpoint_is_refused(tmp_path: Path) -> None:
    save_file({"weight": torch.zeros(2)}, tmp_path / "other.safetensors")
    with pytest.raises(ValueError, match="names no sizes"):
        student.load(tmp_path / "other.safetensors")


def test_only_cells_of_the_photo_are_read() -> None:
    """Scores beside the photo change nothing; scores on it do."""
    finalizer = student.Finalizer(grid=8, prior=8)
    scores, extent = torch.randn(1, 2, 8, 8), torch.tensor([[32, 64]])
    expected = torch.cat(finalizer(scores, extent, stride=8))
    beside, inside = scores.clone(), scores.clone()
    beside[:, :, :2] += 50
    beside[:, :, 6:] += 50
    inside[:, :, 2] += 1
    assert torch.allclose(torch.cat(finalizer(beside, extent, stride=8)), expected)
    assert not torch.allclose(torch.cat(finalizer(inside, extent, stride=8)), expected)


def test_the_grid_follows_the_photo_on_the_canvas() -> None:
    finalizer = student.Finalizer(grid=8, prior=8)
    with torch.no_grad():
        finalizer.log_sigma.fill_(-1)  # sharp enough to tell neighbouring cells apart
    for row in (3, 4):
        scores = torch.zeros(1, 2, 8, 8)
        scores[0, 0, row, 5] = 20
        density = finalizer(scores, torch.tensor([[32, 64]]), stride=8)[0][0].exp()
        # The photo's rows are canvas cells 2–5, so each of them spans two rows of the grid.
        assert density.sum(dim=1).argmax() in (2 * (row - 2), 2 * (row - 2) + 1)
        assert density.sum(dim=0).argmax() == 5


def test_imagenet_weights_start_the_features(tmp_path: Path) -> None:
    network = Student()
    weights = {k: torch.full_like(v, 0.5) for k, v in network.features.state_dict().items()}
    save_file({**weights, "fc.weight": torch.zeros(3)}, tmp_path / "imagenet.safetensors")
    network.features.load_imagenet(tmp_path / "imagenet.safetensors")
    assert (network.features.stem.weight == 0.5).all()
    assert (network.features.state_dict()["block.13.project.weight"] == 0.5).all()
    assert network.readout.score.weight.std() > 0


def test_the_shipped_checkpoint_is_small() -> None:
    assert CHECKPOINT.stat().st_size < 4_000_000


def test_a_student_of_another_version_is_refused(tmp_path: Path) -> None:
    network = student.Student(TINY)
    fields = json.loads(TINY.to_json()) | {"dilation": 2}
    checkpoint.write(network, tmp_path / "later.safetensors", {"sizes": json.dumps(fields)})
    with pytest.raises(ValueError, match=r"later\.safetensors holds a student of another version"):
        student.load(tmp_path / "later.safetensors")
