"""The examples of the documentation run as they stand."""

import re
from pathlib import Path

import pytest

from server import embedded

ROOT = Path(__file__).parents[1]


@pytest.mark.parametrize("document", ["README.md", "docs/client.md"])
def test_examples_run(
    document: str,
    address: embedded.Address,
    photo: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    monkeypatch.chdir(tmp_path)
    text = (ROOT / document).read_text()
    examples = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    assert "gazecrop" in examples
    here = f":{address.grpc}"
    exec(examples.replace(":8001", here), {"__name__": document})
    assert {path.name for path in tmp_path.glob("*.jpg")} >= {"photo.jpg"}


def test_commands_of_the_client_guide_are_those_of_the_parser() -> None:
    from gazecrop.__main__ import _parser

    text = (ROOT / "docs/client.md").read_text()
    commands = re.findall(r"^gazecrop (.*?)(?:$|\s+[#|<>])", text, re.MULTILINE)
    assert len(commands) == 6
    for command in commands:
        _parser().parse_args(command.replace("'", "").split())
