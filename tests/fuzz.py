"""Mutated photos through the server's decoders and the client's reader: all are answered.

    python -m tests.fuzz [--files 100000] [--client 20000] [--seed 0]

The seeds are generated: each format in its ways of keeping pixels. Each process has a limit on its
memory and on the time of a photo; it ends at the first photo that crashes it, takes longer than
`MAX_SECONDS` or more than `MAX_MEMORY`, or is refused by another error than the one that is meant,
and leaves that photo in the folder `fuzz`.
"""

import argparse
import os
import random
import resource
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import gazecrop
from gazecrop._photo import decoded

from perf.instruments.mutations import mutated, seeds, with_metadata
from server.embedded import MODEL_REPOSITORY

CANVAS = 320
MAX_SECONDS = 2.0  # of the processor, for a photo
MAX_MEMORY = 256  # MB of a process, at its peak
HUNG_SECONDS = 60  # of the clock: then the process dies
FOLDER = Path("fuzz")


def through_server() -> tuple[Callable[[bytes], object], type[Exception]]:
    sys.path.append(str(MODEL_REPOSITORY / "preprocess" / "1"))
    import cv2
    import photo

    cv2.setNumThreads(1)
    return lambda data: photo.load(data, CANVAS), photo.Unusable


def through_client() -> tuple[Callable[[bytes], object], type[Exception]]:
    return decoded, gazecrop.GazecropError


def worker(target: str, number: int, seed: int) -> None:
    """Fuzz in this process, and say what came of it."""
    read, meant = through_server() if target == "files" else through_client()
    chance, originals = random.Random(seed), seeds()
    answers: Counter[str] = Counter()
    slowest, memory = 0.0, 0
    photo = FOLDER / f"{target}-{seed}"
    for index in range(number):
        data = chance.choice(originals)
        if target == "client" or chance.random() < 0.2:
            data = with_metadata(data, chance)
        if target == "files" or chance.random() < 0.5:
            data = mutated(data, originals, chance)
        photo.write_bytes(data)  # what a crash leaves
        signal.alarm(HUNG_SECONDS)
        started = time.process_time()
        try:
            read(data)
            answers["accepted"] += 1
        except meant:
            answers["refused"] += 1
        seconds = time.process_time() - started
        slowest = max(slowest, seconds)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        if seconds > MAX_SECONDS or (target == "files" and memory > MAX_MEMORY):
            sys.exit(f"{photo}, number {index}: {seconds:.1f} s, {memory} MB")
    photo.unlink(missing_ok=True)
    print(f"{target}: {dict(answers)}, slowest {slowest:.2f} s, peak {memory} MB", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="through the server's decoders")
    parser.add_argument("--client", type=int, default=20_000, help="through the client's reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", choices=("files", "client"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, getattr(args, args.worker), args.seed)
        return 0
    # As the server's decoders keep memory: what a large photo took goes back at once.
    environment = {
        **os.environ,
        "MALLOC_MMAP_THRESHOLD_": str(2**20),
        "MALLOC_TRIM_THRESHOLD_": str(2**24),
    }
    cores = len(os.sched_getaffinity(0))
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz"]
    failed = 0
    for target in ("files", "client"):
        FOLDER.mkdir(exist_ok=True)
        each = -(-getattr(args, target) // cores)
        running = [
            subprocess.Popen(  # libtiff prints what it thinks of every file
                [
                    *command,
                    "--worker",
                    target,
                    f"--{target}",
                    str(each),
                    "--seed",
                    str(args.seed + core),
                ],
                env=environment,
            )
            for core in range(cores)
        ]
        failed += sum(process.wait() != 0 for process in running)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
