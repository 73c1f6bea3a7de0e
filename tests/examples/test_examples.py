"""The examples in other languages run, and get the client's own windows."""

import json
import shutil
import subprocess
from pathlib import Path

import gazecrop
import pytest

from server import embedded

EXAMPLES = Path(__file__).parents[2] / "examples"
RATIOS = ("16:9", "1:1", "4:5")
COMMANDS = {  # example → how it is run, by the first word if that is installed
    "crops.sh": ["sh"],
    "crops.mjs": ["node"],
    "crops.go": ["go", "run"],
    "Crops.java": ["java"],
}
NEEDED = {"crops.sh": "curl"}  # besides


def test_every_example_is_tried() -> None:
    assert {path.name for path in EXAMPLES.iterdir()} == set(COMMANDS)


@pytest.fixture(params=COMMANDS)
def command(request: pytest.FixtureRequest) -> list[str]:
    example: str = request.param
    program = NEEDED.get(example, COMMANDS[example][0])
    if not shutil.which(program):
        pytest.skip(f"{program} is not installed")
    return [*COMMANDS[example], str(EXAMPLES / example)]


def run(command: list[str], photo: Path, address: embedded.Address) -> tuple[int, str, str]:
    server = f"http://127.0.0.1:{address.http}"
    done = subprocess.run(
        [*command, str(photo), server], capture_output=True, text=True, check=False, timeout=300
    )
    return done.returncode, done.stdout, done.stderr


def rectangles(output: str) -> list[list[int]]:
    """Of the table that an example prints, or of the server's JSON."""
    if not output.lstrip().startswith("{"):
        return [[int(word) for word in line.split()[1:5]] for line in output.splitlines()]
    (flat,) = [each["data"] for each in json.loads(output)["outputs"] if each["name"] == "RECTS"]
    return [flat[start : start + 4] for start in range(0, len(flat), 4)]


def test_an_example(
    command: list[str],
    photo: Path,
    tmp_path: Path,
    address: embedded.Address,
    client: gazecrop.Client,
) -> None:
    status, output, errors = run(command, photo, address)
    assert (status, errors) == (0, "")
    saliency = client.predict(photo)
    assert rectangles(output) == [list(saliency.crop(ratio).rect) for ratio in RATIOS]

    (tmp_path / "broken.jpg").write_bytes(b"no photo")
    status, output, errors = run(command, tmp_path / "broken.jpg", address)
    assert status != 0
    assert "not an image" in output + errors
