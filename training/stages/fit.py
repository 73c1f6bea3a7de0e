"""The training loop of every stage: AdamW on that stage's loss.

Lightning Fabric places it on a CPU, a GPU or many. The state is saved every half minute and
on the last step; calling `fit` again with the same folder goes on from there, as if it had
never stopped.
"""

import copy
import json
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeAlias, TypeVar

import lightning_fabric
import torch
from torch import Tensor, nn
from torch.utils.data import DataLoader, Dataset

from training.data.examples import Batches
from training.files import whole
from training.networks import student, teacher
from training.progress import bar

SAVE_SECONDS = 30
GPU_WORKERS = 8  # processes that prepare batches; on a CPU the network needs the cores itself

State: TypeAlias = dict[str, Any]  # network, averaged, optimizer, step
Batch: TypeAlias = list[Tensor]


N = TypeVar("N", student.Student, teacher.Teacher)
Loss: TypeAlias = Callable[[N, Batch], Tensor]  # of each example, [N]


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
    shrunk: float = 0.15  # share of the photos that take only a part of the canvas

    def rate_at(self, step: int) -> float:
        """Of the peak rate: a linear warm-up, then a cosine to zero."""
        rising = (step + 1) / max(1, round(self.warmup * self.steps))
        return min(rising, 0.5 * (1 + math.cos(math.pi * step / self.steps)))


def cross_entropy(log_density: Tensor, density: Tensor) -> Tensor:
    """Of each example, in nats: the mean negative log likelihood of its gaze, [N]."""
    return -(density * log_density.float()).sum(dim=(1, 2))


class _Learner(nn.Module):
    """A network with its loss: one forward method, whatever the devices."""

    def __init__(self, network: nn.Module, loss: Callable[[Any, Batch], Tensor]) -> None:
        super().__init__()
        self.network, self.loss = network, loss

    def forward(self, *batch: Tensor) -> Tensor:
        return self.loss(self.network, list(batch)).mean()


def fit(
    network: N,
    examples: Dataset[Any],
    loss: Loss[N],
    schedule: Schedule,
    run: Path,
    fabric: lightning_fabric.Fabric,
    seed: int = 0,
) -> N:
    """Train a network, or go on with the run saved in `run`.

    Args:
        examples: tensors by key (index, draw); their batches are what `loss` gets.

    Returns:
        The moving average of the weights, in evaluation mode.
    """
    averaged = copy.deepcopy(network).to(fabric.device)
    optimizer = torch.optim.AdamW(_groups(network, schedule), weight_decay=schedule.weight_decay)
    wrapped, placed = fabric.setup(_Learner(network, loss), optimizer)
    state: State = {"network": wrapped, "averaged": averaged, "optimizer": placed, "step": 0}
    if (run / "state.ckpt").exists():
        fabric.load(run / "state.ckpt", state)
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
        for batch in loader:
            step = state["step"]
            for group in optimizer.param_groups:
                group["lr"] = group["peak"] * schedule.rate_at(step)
            loss = network(*batch)
            optimizer.zero_grad()
            fabric.backward(loss)
            optimizer.step()
            _average(state["averaged"], network.module.network, schedule.average, step)
            state["step"] = step + 1
            progress.update(task, advance=1, note=f"loss {loss.item():.4f}")
            if step % 50 == 0:
                _log(run, fabric, step=step, loss=round(loss.item(), 4))
            if time.monotonic() - saved > SAVE_SECONDS or state["step"] == schedule.steps:
                _save(run, state, fabric)
                saved = time.monotonic()


def _groups(network: student.Student | teacher.Teacher, schedule: Schedule) -> list[dict[str, Any]]:
    """What learns, the pretrained layers apart."""
    pretrained = {id(parameter) for parameter in network.features.parameters()}
    learning = [parameter for parameter in network.parameters() if parameter.requires_grad]
    return [
        {"params": parameters, "peak": rate}
        for parameters, rate in (
            ([p for p in learning if id(p) in pretrained], schedule.features_rate),
            ([p for p in learning if id(p) not in pretrained], schedule.rate),
        )
        if parameters
    ]


def _loader(
    examples: Dataset[Any],
    schedule: Schedule,
    first: int,
    seed: int,
    fabric: lightning_fabric.Fabric,
) -> Any:
    batches = Batches(
        len(examples),  # type: ignore[arg-type]
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
