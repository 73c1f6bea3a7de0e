"""The README's commands for plain HTTP run as they stand."""

import json
import re
import subprocess
from pathlib import Path

from PIL import Image

README = Path(__file__).parents[2] / "README.md"


def test_the_readmes_requests_are_answered(front: str, photo: Path, tmp_path: Path) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    (commands,) = re.findall(
        r"^(curl [^`]*?:8080.*?)^```", README.read_text("utf-8"), re.DOTALL | re.MULTILINE
    )
    commands = commands.replace("http://localhost:8080", front)
    done = subprocess.run(
        ["sh", "-ec", commands], cwd=tmp_path, check=True, capture_output=True, text=True
    )
    assert json.loads(done.stdout)["crops"].keys() == {"16:9", "1:1"}
    with Image.open(tmp_path / "thumbnail.webp") as thumbnail:
        assert (thumbnail.format, thumbnail.size) == ("WEBP", (400, 300))
