"""Train the student on the likelihood of fixations.

    python -m training.train --data SET [--data SET …] --imagenet FILE

The network starts from MobileNetV2's ImageNet weights and learns from the training photos
of all sets (four in five). After each epoch the run is saved; the same command resumes it,
so Ctrl-C costs one epoch at most. The end result goes to `--checkpoint`.
"""

import argparse
import copy
import math
from dataclasses import dataclass
from pathlib import Path

import torch
from rich.progress import track
from torch import Tensor
from torch.utils.data import DataLoader

from training import student
from training.data import FixationDataset, read_fixation_set, split
from training.evaluate import CHECKPOINT, mean_nss


@dataclass(frozen=True)
class Recipe:
    epochs: int = 14
    batch: int = 16
    extractor_rate: float = 3e-4  # AdamW's peak learning rates: pretrained layers change less
    readout_rate: float = 2e-3
    weight_decay: float = 1e-4
    average: float = 0.995  # decay of the weights' moving average, which is what ships
    seed: int = 0


def train(sets: list[Path], imagenet: Path | None, recipe: Recipe, run: Path) -> student.Student:
    """Train, or resume the run saved in `run`, and return the averaged network."""
    torch.manual_seed(recipe.seed)
    network = student.Student()
    if imagenet:
        network.load_imagenet(imagenet)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    averaged = copy.deepcopy(network)
    splits = [split(read_fixation_set(folder)) for folder in sets]
    dataset = FixationDataset(
        [photo for training, _ in splits for photo in training],
        network.sizes.canvas,
        network.sizes.grid,
        augment=True,
        seed=recipe.seed,
    )
    loader = DataLoader(dataset, recipe.batch, shuffle=True, drop_last=True)
    optimizer, schedule = _optimizer(network, recipe, steps=recipe.epochs * len(loader))
    state = {"network": network, "averaged": averaged, "optimizer": optimizer, "rate": schedule}
    first = _resume(run, state)

    for epoch in range(first, recipe.epochs):
        network.train()
        losses = []
        for pixels, extent, density in track(loader, f"epoch {epoch + 1}/{recipe.epochs}"):
            loss = _loss(network, pixels, extent, density)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            schedule.step()
            _average(averaged, network, recipe.average)
            losses.append(loss.item())
        scores = " ".join(f"{mean_nss(averaged, validation):.3f}" for _, validation in splits)
        print(f"loss {sum(losses) / len(losses):.4f}, validation NSS {scores}", flush=True)
        _save(run, state, epoch + 1)
    return averaged.eval()


def _loss(network: student.Student, pixels: Tensor, extent: Tensor, density: Tensor) -> Tensor:
    """Cross-entropy: the mean negative log likelihood of a photo's fixations, in nats."""
    with torch.autocast("cpu", torch.bfloat16):
        log_density = network.log_density(pixels, extent)
    return -(density * log_density.float()).sum(dim=(1, 2)).mean()


def _optimizer(
    network: student.Student, recipe: Recipe, steps: int
) -> tuple[torch.optim.Optimizer, torch.optim.lr_scheduler.LRScheduler]:
    """AdamW with a short warm-up and a cosine to zero."""
    extractor = [*network.stem.parameters(), *network.block.parameters()]
    head = [*network.readout.parameters(), *network.finalizer.parameters()]
    optimizer = torch.optim.AdamW(
        [
            {"params": extractor, "lr": recipe.extractor_rate},
            {"params": head, "lr": recipe.readout_rate},
        ],
        weight_decay=recipe.weight_decay,
    )
    warmup = max(1, steps // 20)

    def rate(step: int) -> float:
        return min((step + 1) / warmup, 0.5 * (1 + math.cos(math.pi * step / steps)))

    return optimizer, torch.optim.lr_scheduler.LambdaLR(optimizer, rate)


@torch.no_grad()
def _average(averaged: student.Student, network: student.Student, decay: float) -> None:
    for slow, fast in zip(averaged.parameters(), network.parameters(), strict=True):
        slow.lerp_(fast, 1 - decay)


def _save(run: Path, state: dict[str, object], epochs: int) -> None:
    """Write beside, then rename: an interrupt never leaves half a file."""
    run.mkdir(parents=True, exist_ok=True)
    contents = {name: part.state_dict() for name, part in state.items()}  # type: ignore[attr-defined]
    torch.save({**contents, "epochs": epochs}, run / "state.partial")
    (run / "state.partial").rename(run / "state.pt")


def _resume(run: Path, state: dict[str, object]) -> int:
    """Load what `_save` wrote, if anything; the number of epochs done."""
    if not (run / "state.pt").exists():
        return 0
    saved = torch.load(run / "state.pt", weights_only=True)
    for name, part in state.items():
        part.load_state_dict(saved[name])  # type: ignore[attr-defined]
    return int(saved["epochs"])


def main() -> None:
    parser = argparse.ArgumentParser(description="train the student on fixations")
    parser.add_argument("--data", type=Path, action="append", required=True, help="a fixation set")
    parser.add_argument("--imagenet", type=Path, help="MobileNetV2's weights to start from")
    parser.add_argument("--checkpoint", type=Path, default=CHECKPOINT)
    parser.add_argument("--run", type=Path, default=Path("runs/student"), help="resumable state")
    args = parser.parse_args()
    student.save(train(args.data, args.imagenet, Recipe(), args.run), args.checkpoint)
    print(f"wrote {args.checkpoint}")


if __name__ == "__main__":
    main()
