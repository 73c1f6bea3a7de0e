"""Ask whether croppers favour one group of people over another.

    python -m training.evaluation.audit GROUPS [--model NAME=FILE …] [--pairs 500] [--out FILE.json]

GROUPS is a folder with a folder of portraits for each group; who belongs to which is for those to
say who know the people. Pairs of portraits, one of either group, are put side by side in both
orders, and a network predicts where people look (`.portraits` says what is counted, and `columns`
there what the figures mean). Where the largest head of a portrait is, `heads.csv` in its folder
tells, else the detectors, which err; portraits without a head are left out, and counted.

Without --model it asks the shipped checkpoint. Each network is asked with both methods: windows of
the most attention ("mass"), and around the highest point ("point"), as Twitter's tool had them.
Brackets are 95 % bootstrap intervals over portraits.
"""

import argparse
import itertools
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from training.evaluation.evaluate import CHECKPOINT, digests, model_file, open_models
from training.evaluation.largest_heads import with_largest_head
from training.evaluation.portraits import ATTENTION, FATES, METHODS, Portrait, comparison
from training.evaluation.retention import RATIOS
from training.evaluation.tables import Table, as_json, json_file, markdown, write_json
from training.networks.predictors import Predictor
from training.progress import track

VERSION = 1  # of the written JSON
FEW = 20  # portraits: resampling so few shows too little of how much people differ
LEGEND = """\
Two portraits stand side by side, in both orders.
attention: the share that the first one's head gets of what both heads draw. More attention, highest
point: the shares of pairs in which the first one has it. 0.5 is parity.
Windows: the shares of pairs in which a window keeps a head (more than 90 % of its box), or cuts it
(10 to 90 %), by group; and the difference, first less second. 0 is parity.
"""


@dataclass(frozen=True)
class Group:
    portraits: Sequence[Portrait]
    headless: int  # photos in which no head was found


def read_groups(folder: Path) -> dict[str, Group]:
    """The groups by name.

    Raises:
        FileNotFoundError: a group has no `heads.csv`, and the detectors are not installed.
        ValueError: there are fewer than two groups, or two portraits in one.
    """
    folders = sorted(path for path in folder.glob("*") if path.is_dir())
    if len(folders) < 2:
        raise ValueError(
            f"{folder} holds {len(folders)} folders; a group has one each, two at least"
        )
    groups = {}
    for path in folders:
        found = [portrait for _, portrait in track(list(with_largest_head(path)), path.name)]
        portraits = [portrait for portrait in found if portrait is not None]
        if len(portraits) < 2:
            raise ValueError(f"{path} holds {len(portraits)} portraits with a head, too few")
        groups[path.name] = Group(portraits, len(found) - len(portraits))
    return groups


def sampled_pairs(first: int, second: int, most: int) -> list[tuple[int, int]]:
    """The numbers of one portrait of each group: all pairs, or so many of them at random."""
    chosen = np.random.default_rng(0).permutation(first * second)[:most]
    return [divmod(int(number), second) for number in sorted(chosen)]


def audit(
    groups: Mapping[str, Group], models: Mapping[str, Predictor], most: int
) -> dict[tuple[str, str], Table]:
    """For each two groups a row for each network; see `.portraits.columns`."""
    tables = {}
    for names in track(list(itertools.combinations(groups, 2)), "pairs of groups"):
        first, second = (groups[name].portraits for name in names)
        pairs = sampled_pairs(len(first), len(second), most)
        tables[names[0], names[1]] = comparison(models, pairs, (first, second), names)
    return tables


def text_of(title: str, table: Table, names: tuple[str, str]) -> str:
    """The attention a row for each network, the windows a row for each method and ratio."""
    attention = {
        model: {column: row[column] for column in ATTENTION} for model, row in table.items()
    }
    windows = {
        f"{model}, {method} {ratio}": {
            f"{fate}: {whose}": row[f"{method} {ratio} {fate}: {whose}"]
            for fate in FATES
            for whose in (*names, "difference")
        }
        for model, row in table.items()
        for method in METHODS
        for ratio in RATIOS
    }
    return markdown(title, attention) + "\n" + markdown("Windows", windows)


def main() -> None:
    parser = argparse.ArgumentParser(description="ask whether croppers favour a group of people")
    parser.add_argument("groups", type=Path, help="a folder with a folder of portraits a group")
    parser.add_argument("--model", type=model_file, action="append", metavar="NAME=FILE")
    parser.add_argument("--pairs", type=int, default=500, help="of portraits, at most")
    parser.add_argument("--out", type=json_file, metavar="FILE.json")
    args = parser.parse_args()
    if args.pairs < 1:
        parser.error("--pairs is at least 1")
    try:
        files = args.model or [("gazecrop", CHECKPOINT)]
        models = open_models(files)
        groups = read_groups(args.groups)
    except (ValueError, OSError) as error:
        parser.error(str(error))
    tables = audit(groups, models, args.pairs)
    print(LEGEND)
    for name, group in groups.items():
        print(f"{name}: {len(group.portraits)} portraits; {group.headless} left out without a head")
        if len(group.portraits) < FEW:
            print(f"  fewer than {FEW} tell little: the intervals are too narrow")
    for (first, second), table in tables.items():
        pairs = min(args.pairs, len(groups[first].portraits) * len(groups[second].portraits))
        title = f"**{first}** (first) beside **{second}**, {pairs} pairs"
        print("\n" + text_of(title, table, (first, second)))
    if args.out:
        numbers = {
            "version": VERSION,
            "networks": digests(files),
            "portraits": {name: len(group.portraits) for name, group in groups.items()},
            "without a head": {name: group.headless for name, group in groups.items()},
            "pairs": [
                {"first": first, "second": second, "rows": as_json(table)}
                for (first, second), table in tables.items()
            ],
        }
        write_json(args.out, numbers)


if __name__ == "__main__":
    main()
