"""Stage 4, pruning: narrow the distilled student, round by round, and record what that costs.

In each round the student learns on for a few batches of distillation, which also collect the
Fisher signal; then maps are removed until `round_gmac` is saved. The student is saved after
each round, so an interrupt loses a few seconds. `pruned/curve.jsonl` holds GMAC against
validation loss, `pruned/student-….safetensors` the students that the recipe asks for.
"""

import json
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import DataLoader

from training.data.examples import Batches, Examples
from training.data.sources import human_densities
from training.networks import checkpoint, student
from training.networks.cost import GMAC, macs
from training.networks.criteria import choose, score
from training.networks.fisher import Importance, fisher_signal, masked, unit_masks
from training.networks.removal import remove
from training.stages.distillation import distil, distillation_examples
from training.stages.fit import cross_entropy
from training.stages.recipe import Pruning
from training.stages.run import Run

Batch = tuple[Tensor, Tensor, Tensor]

REMEMBERED = 0.8  # of the signal of earlier batches: more examples than ten batches have
EVERY = 0.01  # GMAC between two measurements of the validation loss


def prune(run: Run) -> Path:
    """The checkpoint of the student of the cost that ships; those of other costs lie beside it."""
    prune_to(run, run.recipe.pruning, "pruned")
    return run.folder / "pruned" / student_name(run.recipe.shipped_gmac)


def prune_to(run: Run, recipe: Pruning, name: str) -> None:
    """Go from the distilled student to the cheapest that the recipe asks for, unless done.

    Args:
        name: of the folder in the run's that holds the students and `curve.jsonl`.
    """
    if run.has(*(f"{name}/{student_name(gmac)}" for gmac in recipe.gmac)):
        return
    network, examples = distil(run), distillation_examples(run).with_crops(recipe.crops)
    if run.fabric.is_global_zero:  # a few minutes on one device; the others wait
        _rounds(run, recipe, run.folder / name, network, examples)
    run.fabric.barrier()


def _rounds(
    run: Run, recipe: Pruning, folder: Path, network: student.Student, examples: Examples
) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    validation = validation_examples(run)
    network, rounds, measured = _resume(network, folder)
    network = network.to(run.fabric.device)
    signal: Importance = {}
    while True:
        gmac = macs(network.sizes) / GMAC
        done = gmac <= min(recipe.gmac)
        if done or measured - gmac > EVERY:
            measured = gmac
            loss = validation_loss(network, validation, run)
            _record(folder, rounds=rounds, gmac=round(gmac, 5), loss=round(loss, 5))
        for wanted in recipe.gmac:
            kept = folder / student_name(wanted)
            if gmac <= wanted and not kept.exists():
                student.save(network, kept)
        if done:
            return
        signal = _learn(network, _batches(examples, recipe, rounds, run), recipe, signal, run)
        _narrow(network, signal, recipe, gmac - recipe.round_gmac, rounds)
        rounds += 1
        student.save(network, folder / "latest.safetensors", rounds=str(rounds))


def student_name(gmac: float) -> str:
    """The file that keeps the first student of at most this cost."""
    return f"student-{gmac:.3f}.safetensors"


def _narrow(
    network: student.Student, signal: Importance, recipe: Pruning, gmac: float, seed: int
) -> None:
    """Remove maps until the network costs at most `gmac`; `signal` follows."""
    importance = score(network, signal, recipe.criterion, seed)
    while macs(network.sizes) / GMAC > gmac:
        removal = choose(network.sizes, importance, recipe.criterion, recipe.beta)
        remove(network, removal)
        for values in (importance, signal):
            values[removal.group] = np.delete(values[removal.group], removal.maps)


def _learn(
    network: student.Student,
    batches: Iterable[Batch],
    recipe: Pruning,
    remembered: Importance,
    run: Run,
) -> Importance:
    """Some steps of SGD on the distillation loss; the Fisher signal Δ that they collect."""
    network.train()
    optimizer = torch.optim.SGD(network.parameters(), recipe.rate / recipe.batch, momentum=0.9)
    collected: list[Importance] = []
    for batch in batches:
        pixels, extent, density = (run.fabric.to_device(part) for part in batch)
        masks = unit_masks(network, len(pixels))
        with run.fabric.autocast(), masked(network, masks):
            log_density = network.log_density(pixels, extent)
        optimizer.zero_grad()
        # Summed, not averaged: every example's own gradient must reach its masks. The mean's
        # 1/N is in the learning rate instead.
        cross_entropy(log_density, density).sum().backward()
        optimizer.step()
        collected.append(fisher_signal(masks, len(pixels)))
    new = {group: np.mean([part[group] for part in collected], axis=0) for group in collected[0]}
    return {
        group: REMEMBERED * remembered[group] + (1 - REMEMBERED) * values if remembered else values
        for group, values in new.items()
    }


def validation_loss(network: student.Student, validation: Examples, run: Run) -> float:
    """The cross-entropy to the human densities of the validation photos, in nats."""
    network.eval()
    losses = []
    keys = [(index, 0) for index in range(len(validation))]
    with torch.inference_mode(), run.fabric.autocast():
        for batch in DataLoader(validation, batch_size=32, sampler=keys):
            pixels, extent, density = (run.fabric.to_device(part) for part in batch)
            losses.append(cross_entropy(network.log_density(pixels, extent), density))
    return torch.cat(losses).mean().item()


def _batches(examples: Examples, recipe: Pruning, rounds: int, run: Run) -> Iterable[Batch]:
    first = rounds * recipe.batches
    keys = Batches(
        len(examples), recipe.batch, first, first + recipe.batches, run.recipe.seed, 0, 1
    )
    return DataLoader(examples, batch_sampler=keys)


def _resume(network: student.Student, folder: Path) -> tuple[student.Student, int, float]:
    """The network, the number of rounds done, and the cost that was measured last."""
    latest, curve = folder / "latest.safetensors", folder / "curve.jsonl"
    if not latest.exists():
        curve.unlink(missing_ok=True)
        return network, 0, np.inf
    measured = json.loads(curve.read_text().splitlines()[-1])["gmac"]
    return student.load(latest), int(checkpoint.read_metadata(latest)["rounds"]), measured


def _record(folder: Path, **values: float) -> None:
    line = json.dumps(values)
    print(line, flush=True)
    with (folder / "curve.jsonl").open("a") as file:
        file.write(line + "\n")


def validation_examples(run: Run) -> Examples:
    """The validation photos as they are, with their fixations."""
    photos, sizes = run.sources.validation, run.recipe.student
    paths = [photo.path for photo in photos]
    return Examples(paths, human_densities(photos), sizes.canvas, sizes.grid, augment=False)
