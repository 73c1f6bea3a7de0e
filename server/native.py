"""Run the tritonserver of NVIDIA's container on the models of this repository.

    python3 -m server.native [--OPTION=VALUE …]    with tritonserver's own options

It does what `python -m server` does for the embedded one before it starts: as many instances as
suit the cores (CORES, or those that the container may use), a response cache where `--cache-config`
asks for one, and the APIs that nobody needs for predictions closed by a secret that nobody knows.
Then it becomes that tritonserver, so signals and the exit status are Triton's.
"""

import os
import secrets
import sys
import tempfile
from pathlib import Path

from server import instances
from server.restrictions import closing

MODEL_REPOSITORY = Path(__file__).parents[1] / "model_repository"


def command(options: list[str], folder: Path) -> list[str]:
    """What to run, on a copy of the models in `folder`."""
    cores = int(os.environ.get("CORES") or instances.usable_cores())
    name = next((_value(each) for each in options if each.startswith("--model-config-name=")), "")
    cached = any(each.startswith("--cache-config") for each in options)
    models = instances.with_instances(
        MODEL_REPOSITORY, folder, instances.suited_to(cores), cached, name
    )
    secret = secrets.token_urlsafe(32)  # that nobody will know
    return ["tritonserver", f"--model-repository={models}", *closing(secret, options), *options]


def _value(option: str) -> str:
    return option.partition("=")[2]


def main() -> None:
    arguments = command(sys.argv[1:], Path(tempfile.mkdtemp(prefix="gazecrop-")))
    os.execvp(arguments[0], arguments)


if __name__ == "__main__":
    main()
