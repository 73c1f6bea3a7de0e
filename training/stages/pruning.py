"""Stage 6, pruning: narrow the distilled student, round by round, and record what that costs.

In each round the student learns on for a few batches of distillation, whose losses of both maps
also collect the Fisher signal; then maps are removed until `round_milliseconds` of the modelled
time are saved. The student is saved after each round, so an interrupt loses a few seconds.
`pruned/curve.jsonl` holds time and GMAC against validation loss, and
`pruned/student-….safetensors` are the students that the recipe asks for.
"""

import json
from collections.abc import Iterable
from dataclasses import asdict
from pathlib import Path

import numpy as np
import torch
from torch.utils.data import DataLoader

from training.data.examples import Batches, Examples
from training.data.sources import human_densities
from training.networks import checkpoint, student
from training.networks.cost import GMAC, macs, milliseconds
from training.networks.criteria import choose, score
from training.networks.fisher import Importance, fisher_signal, masked, unit_masks
from training.networks.removal import remove
from training.stages.distillation import distil
from training.stages.fit import Batch, cross_entropy
from training.stages.recipe import Pruning
from training.stages.run import Run
from training.stages.targets import both_losses, distillation_examples

REMEMBERED = 0.8  # of the signal of earlier batches: more examples than ten batches have
EVERY = 0.2  # milliseconds between two measurements of the validation loss
LARGEST_GRADIENT = 200.0  # norm of a batch's summed gradients; a rare photo has a larger one


def prune(run: Run) -> Path:
    """The checkpoint of the student of the cost that ships; those of other costs lie beside it."""
    prune_to(run, run.recipe.pruning, "pruned")
    return run.folder / "pruned" / student_name(run.recipe.shipped_milliseconds)


def prune_to(run: Run, recipe: Pruning, name: str) -> None:
    """Go from the distilled student to the cheapest that the recipe asks for, unless done.

    Args:
        name: of the folder in the run's that holds the students and `curve.jsonl`.
    """
    if run.has(*(f"{name}/{student_name(wanted)}" for wanted in recipe.milliseconds)):
        return
    network = distil(run)
    examples = distillation_examples(run).augmented(recipe.crops, recipe.shrunk)
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
        time = milliseconds(network.sizes)
        done = time <= min(recipe.milliseconds)
        if done or measured - time > EVERY:
            measured = time
            _record(
                folder,
                rounds=rounds,
                milliseconds=round(time, 5),
                gmac=round(macs(network.sizes) / GMAC, 5),
                loss=round(validation_loss(network, validation, run), 5),
            )
        for wanted in recipe.milliseconds:
            kept = folder / student_name(wanted)
            if time <= wanted and not kept.exists():
                student.save(network, kept)
        if done:
            return
        signal = _learn(network, _batches(examples, recipe, rounds, run), recipe, signal, run)
        _narrow(network, signal, recipe, _goal(time, recipe), rounds)
        rounds += 1
        student.save(network, folder / "latest.safetensors", rounds=str(rounds))


def _goal(time: float, recipe: Pruning) -> float:
    """The time after the next round: nowhere much less than a kept student may take."""
    ahead = [wanted for wanted in recipe.milliseconds if wanted < time]
    return max([time - recipe.round_milliseconds, *ahead])


def student_name(milliseconds: float) -> str:
    """The file that keeps the first student of at most this modelled time."""
    return f"student-{milliseconds:.3f}.safetensors"


def _narrow(
    network: student.Student, signal: Importance, recipe: Pruning, goal: float, seed: int
) -> None:
    """Remove maps until the network takes at most `goal` milliseconds; `signal` follows."""
    importance = score(network, signal, recipe.criterion, seed)
    least = asdict(recipe.least)
    while milliseconds(network.sizes) > goal:
        removal = choose(network.sizes, importance, recipe.criterion, least)
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
    loss = both_losses(run.recipe.integrity_weight)
    optimizer = torch.optim.SGD(network.parameters(), recipe.rate / recipe.batch, momentum=0.9)
    collected: list[Importance] = []
    for batch in batches:
        batch = [run.fabric.to_device(part) for part in batch]
        masks = unit_masks(network, len(batch[0]))
        with run.fabric.autocast(), masked(network, masks):
            losses = loss(network, batch)
        optimizer.zero_grad()
        # Summed, not averaged: every example's own gradient must reach its masks. The mean's
        # 1/N is in the learning rate instead.
        losses.sum().backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), LARGEST_GRADIENT)
        optimizer.step()
        collected.append(fisher_signal(masks, len(batch[0])))
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
            pixels, extent, density, _ = (run.fabric.to_device(part) for part in batch)
            losses.append(cross_entropy(network.log_density(pixels, extent), density))
    return torch.cat(losses).mean().item()


def _batches(examples: Examples, recipe: Pruning, rounds: int, run: Run) -> Iterable[Batch]:
    first = rounds * recipe.batches
    keys = Batches(
        len(examples), recipe.batch, first, first + recipe.batches, run.recipe.seed, 0, 1
    )
    return DataLoader(examples, batch_sampler=keys)


def _resume(network: student.Student, folder: Path) -> tuple[student.Student, int, float]:
    """The network, the number of rounds done, and the time that was measured last."""
    latest, curve = folder / "latest.safetensors", folder / "curve.jsonl"
    if not latest.exists():
        curve.unlink(missing_ok=True)
        return network, 0, np.inf
    measured = json.loads(curve.read_text().splitlines()[-1])["milliseconds"]
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
