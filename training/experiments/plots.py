"""Draw the pruning curve of a run: what each student costs, and how well it predicts.

    python -m training.experiments.plots RUN [--out docs/pruning.png]

Validation loss over modelled time while pruning, for each criterion that
`training.experiments.criteria` compared, and dots where that fine-tuned them all alike.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def read_curve(file: Path) -> tuple[list[float], list[float]]:
    """Milliseconds and validation loss of each point."""
    points = [json.loads(line) for line in file.read_text().splitlines()]
    return [point["milliseconds"] for point in points], [point["loss"] for point in points]


def draw(run: Path, out: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    if (shipped := run / "pruned" / "curve.jsonl").exists():
        axes.plot(*read_curve(shipped), "k-", lw=2, label="the shipped run")
    ablation = run / "ablation.json"
    finetuned = json.loads(ablation.read_text()) if ablation.exists() else {}
    for file in sorted((run / "ablation").glob("*/curve.jsonl")):
        criterion = file.parent.name.replace("-", " ")
        (line,) = axes.plot(*read_curve(file), "--", lw=1.2, label=criterion)
        if criterion in finetuned:
            result = finetuned[criterion]
            axes.plot(result["milliseconds"], result["loss"], "o", color=line.get_color())
    axes.set_xlabel("modelled time, milliseconds a photo on one thread")
    axes.set_ylabel("validation loss: cross-entropy to the fixations, nats")
    axes.invert_xaxis()
    axes.grid(alpha=0.3)
    axes.legend()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description="draw the pruning curve of a run")
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/pruning.png"))
    args = parser.parse_args()
    draw(args.run, args.out)


if __name__ == "__main__":
    main()
