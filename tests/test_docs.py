"""The examples of the documents run as they stand, and their figures are the measured ones."""

import json
import os
import re
import subprocess
import sys
from pathlib import Path

import gazecrop
import numpy as np
import pytest

from perf import figures
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
    text = (ROOT / document).read_text("utf-8")
    examples = "\n".join(re.findall(r"^```python\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    assert "gazecrop" in examples
    here = f":{address.grpc}"
    exec(examples.replace(":8001", here), {"__name__": document})
    assert {path.name for path in tmp_path.glob("*.jpg")} >= {"photo.jpg"}


@pytest.mark.parametrize("document", ["README.md", "docs/client.md"])
def test_a_prediction_is_as_large_as_documents_say(
    document: str, client: gazecrop.Client, photo: Path
) -> None:
    text, saliency = (ROOT / document).read_text("utf-8"), client.predict(photo)
    assert f"{round(len(saliency.to_json()) / 1000)} kB" in text
    assert f"float32 {list(saliency.density.shape)}" in text


HERE = """
gazecrop() { "$PYTHON" -m gazecrop "$@" --server "$SERVER"; }
command -v jq > /dev/null || jq() { cat; }
"""


@pytest.mark.parametrize(
    ("document", "count", "written"),
    [
        ("README.md", 3, {"square.jpg", "crops"}),
        ("docs/client.md", 6, {"square.jpg", "crops"}),
        ("deploy/README.md", 1, {"crops"}),
    ],
)
def test_commands_run(
    document: str,
    count: int,
    written: set[str],
    address: embedded.Address,
    photo: Path,
    tmp_path: Path,
) -> None:
    for name in ("photo.jpg", "docs/photo.jpg", "album/one.jpg", "more/and/two.jpg"):
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_bytes(photo.read_bytes())
    text = (ROOT / document).read_text("utf-8")
    blocks = "\n".join(re.findall(r"^```sh\n(.*?)^```", text, re.DOTALL | re.MULTILINE))
    commands = re.findall(r"^gazecrop .*", blocks, re.MULTILINE)
    assert len(commands) == count
    subprocess.run(
        ["bash", "-euo", "pipefail", "-c", "\n".join([HERE, *commands])],
        cwd=tmp_path,
        env={**os.environ, "PYTHON": sys.executable, "SERVER": f"{address.host}:{address.grpc}"},
        check=True,
    )
    assert {path.name for path in tmp_path.iterdir()} >= written


def test_the_readmes_request_by_curl_is_answered(
    address: embedded.Address, client: gazecrop.Client, photo: Path, tmp_path: Path
) -> None:
    (tmp_path / "photo.jpg").write_bytes(photo.read_bytes())
    (command,) = re.findall(
        r"^(curl [^`]*?:8000.*?)^```", (ROOT / "README.md").read_text("utf-8"), re.DOTALL | re.M
    )
    command = command.replace(":8000", f":{address.http}")
    subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
    answer = (tmp_path / "answer").read_bytes()
    # latin-1 has a character for each byte, so the end of the text is that of the bytes.
    header, end = json.JSONDecoder().raw_decode(answer.decode("latin-1"))
    tensors = {}
    for output in header["outputs"]:
        kind = {"FP32": "<f4", "INT32": "<i4", "BYTES": "u1"}[output["datatype"]]
        size = output["parameters"]["binary_data_size"]
        tensors[output["name"]] = np.frombuffer(answer[end : end + size], kind)
        end += size
    expected = client.predict(photo)
    assert end == len(answer)
    assert tuple(tensors["IMAGE_SIZE"]) == expected.size
    assert (
        np.abs(tensors["SALIENCY"].reshape(expected.density.shape) - expected.density).max() < 1e-3
    )


def test_every_request_by_curl_is_tried() -> None:
    """Here, and by `tests/web/test_readme.py`."""
    text = (ROOT / "README.md").read_text("utf-8").replace("\\\n", "")
    assert re.findall(r"^curl .*localhost:(\d+)", text, re.MULTILINE) == ["8080", "8080", "8000"]


DOCUMENTS = [
    path for folder in ("", "docs", "perf", "deploy") for path in (ROOT / folder).glob("*.md")
]


def test_targets_that_documents_name_are_there() -> None:
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.MULTILINE))
    for path in DOCUMENTS:
        named = set(re.findall(r"(?:^|`)make ([a-z-]+)", path.read_text("utf-8"), re.MULTILINE))
        assert named <= targets, path


def test_programs_that_documents_name_are_there_with_their_options() -> None:
    for path in DOCUMENTS:
        text = path.read_text("utf-8").replace("\\\n", "")
        programs = re.findall(r"python3? -m ([a-z][a-z0-9_.]*)(?![\w.])([^`#|\n]*)", text)
        for module, arguments in programs:
            file = next((file for file in _files(module) if file.is_file()), None)
            assert file, f"{path} names {module}"
            if module != "server":  # it takes tritonserver's options
                for option in re.findall(r"\s(--[a-z-]+)", arguments):
                    assert re.search(rf"{option}\b", file.read_text("utf-8")), (
                        f"{path}: {module} {option}"
                    )


def _files(module: str) -> list[Path]:
    folders = [ROOT, ROOT / "client"]
    path = module.replace(".", "/")
    return [folder / f"{path}{end}" for folder in folders for end in (".py", "/__main__.py")]


@pytest.mark.parametrize("document", figures.DOCUMENTS)
def test_the_figures_of_a_document_are_those_of_the_measurements(document: str) -> None:
    text = (ROOT / document).read_text("utf-8")
    assert figures.BLOCK.search(text)
    assert figures.rewritten(text) == text, "run make figures"


def test_a_figure_that_was_changed_by_hand_is_found() -> None:
    text = (ROOT / "README.md").read_text("utf-8")
    ours = re.search(r"^\| \*\*gazecrop\*\* \| (\S+) ", text, re.MULTILINE)
    assert ours
    forged = text[: ours.start(1)] + "0.99" + text[ours.end(1) :]
    assert figures.rewritten(forged) == text


def test_every_table_of_figures_is_in_a_document() -> None:
    texts = [(ROOT / document).read_text("utf-8") for document in figures.DOCUMENTS]
    used = {name for text in texts for _, name, _, _ in figures.BLOCK.findall(text)}
    assert used == set(figures.TABLES)


def test_figures_that_nobody_measured_are_an_error() -> None:
    with pytest.raises(ValueError, match="no figures 'guesses'"):
        figures.rewritten("<!-- figures: guesses -->\n<!-- end -->")
