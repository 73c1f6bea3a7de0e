"""Draw the frontier of a run: what each student costs, and how well it predicts.

    python -m training.experiments.plots RUN [--out docs/frontier.png]

Validation loss over GMAC while pruning, for each criterion that
`training.experiments.criteria` compared, and dots where that fine-tuned them all alike.
"""

import argparse
import json
from pathlib import Path

import matplotlib

matplotlib.use("Agg")
import matplotlib.pyplot as plt


def read_frontier(file: Path) -> tuple[list[float], list[float]]:
    """GMAC and validation loss of each point."""
    points = [json.loads(line) for line in file.read_text().splitlines()]
    return [point["gmac"] for point in points], [point["loss"] for point in points]


def draw(run: Path, out: Path) -> None:
    figure, axes = plt.subplots(figsize=(8, 5), layout="constrained")
    axes.plot(
        *read_frontier(run / "pruned" / "frontier.jsonl"), "k-", lw=2, label="the shipped run"
    )
    ablation = run / "ablation.json"
    tuned = json.loads(ablation.read_text()) if ablation.exists() else {}
    for file in sorted((run / "ablation").glob("*/frontier.jsonl")):
        criterion = file.parent.name.replace("-", " ")
        (line,) = axes.plot(*read_frontier(file), "--", lw=1.2, label=criterion)
        if criterion in tuned:
            result = tuned[criterion]
            axes.plot(result["gmac"], result["loss"], "o", color=line.get_color())
    axes.set_xlabel("GMAC a photo")
    axes.set_ylabel("validation loss: cross-entropy to the fixations, nats")
    axes.invert_xaxis()
    axes.grid(alpha=0.3)
    axes.legend()
    out.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(out, dpi=110)


def main() -> None:
    parser = argparse.ArgumentParser(description="draw the frontier of a run")
    parser.add_argument("run", type=Path)
    parser.add_argument("--out", type=Path, default=Path("docs/frontier.png"))
    args = parser.parse_args()
    draw(args.run, args.out)


if __name__ == "__main__":
    main()
