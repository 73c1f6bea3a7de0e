"""Load a server near its limit, with hostile files, while its processes are killed.

    python -m perf.measurements.soak [--minutes 30] [--share 0.9] [--hostile 0.02] [--seed 0]

What `python -m server` can sustain is measured first, with 16 uploads of the same mixture in
flight. Then photos of 2 MP come at random times at a share of that, a few hostile files among them,
and in each minute a process of the server, chosen at random, is killed (SIGKILL). Every answer is
compared with the one to the same upload before the kills.

The figures go into perf/soak.json, which `python -m perf.report --write` puts into the report.
Ctrl-C ends it with what was measured so far.
"""

import argparse
import os
import sys
from pathlib import Path

from gazecrop import GazecropError

from perf.instruments.progress import Progress
from perf.measurements.soak import results
from perf.measurements.soak.results import FILE, Plan
from perf.measurements.soak.run import measure
from server.embedded import ServerError


def _share(text: str) -> float:
    share = float(text)
    if not 0 <= share <= 1:
        raise ValueError
    return share


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m perf.measurements.soak",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    plan = Plan()
    parser.add_argument("--minutes", type=float, default=plan.minutes)
    parser.add_argument("--share", type=float, default=plan.share, help="of the sustained rate")
    parser.add_argument("--hostile", type=_share, default=plan.hostile, help="share of the uploads")
    parser.add_argument("--seed", type=int, default=plan.seed, help="of what is sent and killed")
    parser.add_argument("--out", type=Path, default=FILE, help="the file for the figures")
    parser.add_argument("--log", type=Path, help="a file for the server's log")
    args = parser.parse_args()
    if args.minutes <= 0 or args.share <= 0:
        parser.error("--minutes and --share are numbers above 0")
    return args


def main() -> int:
    args = _arguments()
    plan = Plan(args.minutes, args.share, args.hostile, args.seed)
    try:
        measured = measure(plan, Progress(), args.log)
    except (ServerError, GazecropError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    if measured is None:
        print("stopped before there was anything to measure", file=sys.stderr)
        return 130
    results.write(measured, args.out)
    print(f"\n{results.markdown(measured)}\nwrote {os.path.relpath(args.out)}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
