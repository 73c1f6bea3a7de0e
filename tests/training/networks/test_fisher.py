import copy
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.training.samples import TINY, inputs
from training.networks import student
from training.networks.cost import GROUP, groups, macs, saving, width
from training.networks.criteria import choose, weight_norms
from training.networks.fisher import fisher_signal, masked, unit_masks
from training.networks.removal import Removal, remove
from training.networks.student import Student
from training.stages.targets import both_losses


@pytest.fixture
def network() -> Student:
    torch.manual_seed(0)
    return Student(TINY).eval()


def losses(network: Student, batch: tuple[torch.Tensor, torch.Tensor]) -> torch.Tensor:
    """Of both maps of each example, against fixed ones."""
    density = torch.softmax(torch.arange(64.0), 0).view(1, 8, 8).expand(len(batch[0]), 8, 8)
    return both_losses(3.0)(network, [*batch, density, density * 8])


def test_masked_and_pruned_networks_agree(network: Student, tmp_path: Path) -> None:
    batch = inputs()
    for group in groups(network.sizes):
        if width(network.sizes, group) <= GROUP:
            continue
        maps = tuple(range(1, 1 + GROUP))
        mask = torch.ones(2, width(network.sizes, group))
        mask[:, list(maps)] = 0
        pruned = copy.deepcopy(network)
        remove(pruned, Removal(group, maps))
        with torch.no_grad(), masked(network, {group: mask}):
            expected = network(*batch)
        with torch.no_grad():
            for one, other in zip(pruned(*batch), expected, strict=True):
                assert torch.allclose(one, other, atol=1e-6), group
        saved = saving(network.sizes, group, cost=macs)
        assert macs(pruned.sizes) == macs(network.sizes) - saved
        student.save(pruned, tmp_path / "pruned.safetensors")
        rebuilt = student.load(tmp_path / "pruned.safetensors")
        assert torch.equal(rebuilt(*batch)[1], pruned(*batch)[1])


def test_the_signal_adds_up_each_example_alone(network: Student) -> None:
    """One backward pass over a batch gives what one pass for each example gives."""
    pixels, extent = inputs(5)
    masks = unit_masks(network, 5)
    with masked(network, masks):
        losses(network, (pixels, extent)).sum().backward()
    signal = fisher_signal(masks, 5)
    alone = []
    for index in range(5):
        single = unit_masks(network, 1)
        with masked(network, single):
            losses(network, (pixels[index, None], extent[index, None])).sum().backward()
        alone.append(fisher_signal(single, 1))
    for group, values in signal.items():
        expected = np.mean([part[group] for part in alone], axis=0)
        assert np.allclose(values, expected, rtol=1e-3, atol=1e-12), group


def test_the_signal_tells_which_maps_can_go(network: Student) -> None:
    """Against the truth, slowly: remove each map and measure how the loss changes.

    The estimate is of second order, for a trained network; here, on an untrained one, the
    squared change of each example's loss is what a first-order signal can tell.
    """
    batch = inputs(16)
    masks = unit_masks(network, 16)
    with masked(network, masks):
        losses(network, batch).sum().backward()
    signal = fisher_signal(masks, 16)["hidden 3"]
    with torch.no_grad():
        before = losses(network, batch)
        truth = []
        for index in range(width(network.sizes, "hidden 3")):
            mask = torch.ones(16, width(network.sizes, "hidden 3"))
            mask[:, index] = 0
            with masked(network, {"hidden 3": mask}):
                truth.append(((losses(network, batch) - before) ** 2).mean().item() / 2)
    ranks = np.argsort(np.argsort(signal)), np.argsort(np.argsort(truth))
    assert np.corrcoef(*ranks)[0, 1] > 0.9


def test_the_batch_size_does_not_change_the_estimate(network: Student) -> None:
    """A mean-reduced loss would shrink it by the square of the batch size."""
    pixels, extent = inputs(1)
    estimates = []
    for count in (1, 8):
        masks = unit_masks(network, count)
        with masked(network, masks):
            batch = pixels.expand(count, -1, -1, -1), extent.expand(count, -1)
            losses(network, batch).sum().backward()
        estimates.append(fisher_signal(masks, count)["readout"])
    assert np.allclose(estimates[0], estimates[1], rtol=1e-3)


def test_cost_decides_between_equal_losses(network: Student) -> None:
    sizes = network.sizes
    equal = {group: np.full(width(sizes, group), 1e-3) for group in groups(sizes)}
    candidates = [group for group in groups(sizes) if width(sizes, group) > GROUP]
    dearest = max(candidates, key=lambda group: saving(sizes, group))
    assert choose(sizes, equal, "fisher per millisecond").group == dearest
    most = max(candidates, key=lambda group: saving(sizes, group, cost=macs))
    assert choose(sizes, equal, "fisher per operation").group == most
    equal[candidates[-1]] = equal[candidates[-1]] / 2
    assert choose(sizes, equal, "fisher").group == candidates[-1]


def test_the_least_important_maps_go(network: Student) -> None:
    importance = weight_norms(network)
    removal = choose(network.sizes, importance, "l1")
    kept = np.delete(importance[removal.group], removal.maps)
    assert len(removal.maps) == GROUP
    assert importance[removal.group][list(removal.maps)].max() <= kept.min()


def test_the_last_maps_of_a_group_stay(network: Student) -> None:
    least = {"hidden 3": 2 * GROUP}
    last = {group: least.get(group, GROUP) for group in groups(network.sizes)}
    while any(width(network.sizes, group) > maps for group, maps in last.items()):
        remove(network, choose(network.sizes, weight_norms(network), "l1", least))
    with pytest.raises(ValueError, match="down to its last maps"):
        choose(network.sizes, weight_norms(network), "l1", least)
    assert all(width(network.sizes, group) == maps for group, maps in last.items())
    assert all(torch.isfinite(part).all() for part in network(*inputs()))
