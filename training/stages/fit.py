"""The training loop of every stage: AdamW on the cross-entropy to target densities.

Lightning Fabric places it on a CPU, a GPU or many. The state is saved every half minute and
on the last step; calling `fit` again with the same folder goes on from there, as if it had
never stopped.
"""

import copy
import json
import math
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import lightning_fabric
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader

from training.data.examples import Batches, Examples
from training.files import whole
from training.networks import student, teacher
from training.progress import bar

SAVE_SECONDS = 30
GPU_WORKERS = 8  # processes that prepare batches; on a CPU the network needs the cores itself

State: TypeAlias = dict[str, Any]  # network, averaged, optimizer, step


N = TypeVar("N", student.Student, teacher.Teacher)


@dataclass(frozen=True)
class Schedule:
    """How long and how fast to learn."""

    steps: int
    batch: int = 16
    rate: float = 2e-3  # peak of AdamW's learning rate, for the readout
    features_rate: float = 3e-4  # for the pretrained layers, which should change less
    weight_decay: float = 1e-4
    average: float = 0.995  # decay of the weights' moving average, which is the result
    warmup: float = 0.05  # share of the steps
    crops: float = 0.2  # share of the examples that are cropped

    def rate_at(self, step: int) -> float:
        """Of the peak rate: a linear warm-up, then a cosine to zero."""
        rising = (step + 1) / max(1, round(self.warmup * self.steps))
        return min(rising, 0.5 * (1 + math.cos(math.pi * step / self.steps)))


def cross_entropy(log_density: Tensor, density: Tensor) -> Tensor:
    """Of each example, in nats: the mean negative log likelihood of its gaze, [N]."""
    return -(density * log_density.float()).sum(dim=(1, 2))


def fit(
    network: N,
    examples: Examples,
    schedule: Schedule,
    run: Path,
    fabric: lightning_fabric.Fabric,
    seed: int = 0,
) -> N:
    """Train a network, or go on with the run saved in `run`.

    Returns:
        The moving average of the weights, in evaluation mode.
    """
    averaged = copy.deepcopy(network).to(fabric.device)
    optimizer = torch.optim.AdamW(_groups(network, schedule), weight_decay=schedule.weight_decay)
    wrapped, placed = fabric.setup(network, optimizer)
    wrapped.mark_forward_method("log_density")
    state: State = {"network": wrapped, "averaged": averaged, "optimizer": placed, "step": 0}
    if (run / "state.ckpt").exists():
        fabric.load(run / "state.ckpt", state)
    examples = examples.with_crops(schedule.crops)
    _steps(state, _loader(examples, schedule, state["step"], seed, fabric), schedule, run, fabric)
    return averaged.eval()


def _steps(
    state: State, loader: Any, schedule: Schedule, run: Path, fabric: lightning_fabric.Fabric
) -> None:
    network, optimizer = state["network"], state["optimizer"]
    network.train()
    saved = time.monotonic()
    with bar(disable=not fabric.is_global_zero) as progress:
        task = progress.add_task(run.name, total=schedule.steps, completed=state["step"], note="")
        for pixels, extent, density in loader:
            step = state["step"]
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * schedule.rate_at(step)
            loss = cross_entropy(network.log_density(pixels, extent), density).mean()
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()
            _average(state["averaged"], network.module, schedule.average, step)
            state["step"] = step + 1
            progress.update(task, advance=1, note=f"loss {loss.item():.4f}")
            if step % 50 == 0:
                _log(run, fabric, step=step, loss=round(loss.item(), 4))
            if time.monotonic() - saved > SAVE_SECONDS or state["step"] == schedule.steps:
                _save(run, state, fabric)
                saved = time.monotonic()


def _groups(network: student.Student | teacher.Teacher, schedule: Schedule) -> list[dict[str, Any]]:
    pretrained = {id(parameter) for parameter in network.features.parameters()}
    rest = [p for p in network.parameters() if id(p) not in pretrained]
    return [
        {"params": list(network.features.parameters()), "peak": schedule.features_rate},
        {"params": rest, "peak": schedule.rate},
    ]


def _loader(
    examples: Examples, schedule: Schedule, first: int, seed: int, fabric: lightning_fabric.Fabric
) -> Any:
    batches = Batches(
        len(examples),
        schedule.batch,
        first,
        schedule.steps,
        seed,
        fabric.global_rank,
        fabric.world_size,
    )
    workers = GPU_WORKERS if fabric.device.type == "cuda" else 0
    loader = DataLoader(examples, batch_sampler=batches, num_workers=workers)
    return fabric.setup_dataloaders(loader, use_distributed_sampler=False)


@torch.no_grad()
def _average(averaged: nn.Module, network: nn.Module, decay: float, step: int) -> None:
    """The early average forgets faster, so that little of the random start stays in it."""
    decay = min(decay, (step + 1) / (step + 10))
    for slow, fast in zip(averaged.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)


def _save(run: Path, state: State, fabric: lightning_fabric.Fabric) -> None:
    with whole(run / "state.ckpt", rename=fabric.is_global_zero) as file:
        fabric.save(file, state)


def _log(run: Path, fabric: lightning_fabric.Fabric, **values: float) -> None:
    if fabric.is_global_zero:
        run.mkdir(parents=True, exist_ok=True)
        with (run / "log.jsonl").open("a") as log:
            log.write(json.dumps({"time": round(time.time()), **values}) + "\n")
