"""Prune the distilled student step by step, and record what each saving costs.

    python -m training.stages.pruning --data FOLDER

In each round the student learns on for a few batches of distillation, which also collect the
Fisher signal; then maps are removed until `round_gmac` is saved. The student is saved after
each round, so an interrupt loses a few seconds. `pruned/frontier.jsonl` holds GMAC against
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
from training.data.fixations import Photo
from training.data.sources import Sources, human_densities
from training.networks import student
from training.networks.cost import macs
from training.networks.fisher import (
    GMAC,
    Criterion,
    Importance,
    choose,
    fisher_signal,
    masked,
    remove,
    unit_masks,
    weight_norms,
)
from training.stages.distillation import distil, distillation_examples
from training.stages.ensemble import soft_targets
from training.stages.fit import cross_entropy
from training.stages.recipe import Pruning, Run, from_command_line

Batch = tuple[Tensor, Tensor, Tensor]

REMEMBERED = 0.8  # of the signal of earlier batches: more examples than ten batches have
EVERY = 0.01  # GMAC between two measurements of the validation loss


def prune(
    run: Run,
    recipe: Pruning,
    folder: Path,
    network: student.Student,
    examples: Examples,
    validation: Examples,
) -> None:
    """Go from the distilled student to the cheapest that the recipe asks for, unless done."""
    if all((folder / student_name(gmac)).exists() for gmac in recipe.gmac):
        return
    folder.mkdir(parents=True, exist_ok=True)
    network, rounds, measured = _resume(network, folder)
    network, examples = network.to(run.fabric.device), examples.with_crops(recipe.crops)
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
    importance = _importance(network, signal, recipe.criterion, seed)
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


def _importance(
    network: student.Student, signal: Importance, criterion: Criterion, seed: int
) -> Importance:
    if criterion == "l1":
        return weight_norms(network)
    if criterion == "random":
        random = np.random.default_rng(seed)
        return {group: random.random(len(values)) for group, values in signal.items()}
    return dict(signal)


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
    latest, frontier = folder / "latest.safetensors", folder / "frontier.jsonl"
    if not latest.exists():
        frontier.unlink(missing_ok=True)
        return network, 0, np.inf
    measured = json.loads(frontier.read_text().splitlines()[-1])["gmac"]
    return student.load(latest), int(student.notes(latest)["rounds"]), measured


def _record(folder: Path, **values: float) -> None:
    line = json.dumps(values)
    print(line, flush=True)
    with (folder / "frontier.jsonl").open("a") as file:
        file.write(line + "\n")


def human_examples(photos: list[Photo], network: student.Student) -> Examples:
    """Photos as they are, with their fixations."""
    paths = [photo.path for photo in photos]
    sizes = network.sizes
    return Examples(paths, human_densities(photos), sizes.canvas, sizes.grid, augment=False)


def main() -> None:
    run = from_command_line("prune the distilled student")
    sources = Sources(run.data)
    targets = soft_targets(run, sources)
    examples = distillation_examples(run, sources, targets, run.recipe.seed)
    network = distil(run, examples)
    validation = human_examples(sources.validation, network)
    with run.fabric.rank_zero_first():
        prune(run, run.recipe.pruning, run.folder / "pruned", network, examples, validation)


if __name__ == "__main__":
    main()
