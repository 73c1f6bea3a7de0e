"""Run the tritonserver of NVIDIA's container on the models of this repository.

    python3 -m server.native [--OPTION=VALUE …]    with tritonserver's own options

It does what `python -m server` does for the embedded one before it starts: as many instances as
suit the cores (CORES, or those that the container may use) and the room in /dev/shm, a response
cache where `--cache-config` asks for one, and the APIs that nobody needs for predictions closed by
a secret that nobody knows. What a server before it left in /tmp and /dev/shm is removed.
Then it becomes that tritonserver, so signals and the exit status are Triton's.
"""

import os
import resource
import secrets
import sys
import tempfile
from collections.abc import Sequence
from contextlib import ExitStack
from pathlib import Path

from server import instances, leftovers, room
from server.errors import ServerError
from server.restrictions import closing

MODEL_REPOSITORY = Path(__file__).parents[1] / "model_repository"


def command(options: Sequence[str], name: str, suited: instances.Instances) -> list[str]:
    """What to run, with all its files called by the name."""
    config = next((_value(each) for each in options if each.startswith("--model-config-name=")), "")
    cached = any(each.startswith("--cache-config") for each in options)
    folder = Path(tempfile.gettempdir()) / name
    folder.mkdir()
    models = instances.with_instances(MODEL_REPOSITORY, folder, suited, cached, config)
    secret = secrets.token_urlsafe(32)  # that nobody will know
    return [
        "tritonserver",
        f"--model-repository={models}",
        leftovers.region_prefix(name),
        *closing(secret, options),
        *options,
    ]


def _value(option: str) -> str:
    return option.partition("=")[2]


def main() -> int:
    try:
        with ExitStack() as stack:
            name = stack.enter_context(leftovers.claim())
            suited, region = room.share(int(os.environ.get("CORES") or instances.usable_cores()))
            arguments = command(sys.argv[1:], name, suited)
            resource.setrlimit(resource.RLIMIT_FSIZE, (region, region))
            os.execvp(arguments[0], arguments)  # which keeps the claim until it ends
    except (ServerError, OSError) as error:
        print(f"error: {error}", file=sys.stderr)
        return 1


if __name__ == "__main__":
    sys.exit(main())
