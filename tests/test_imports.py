"""The law of imports: what each folder may use of the others (see CONTRIBUTING.md)."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]
CLIENT = "gazecrop"
FOLDERS = {  # folder → those that it may import; every folder may use the client's public API
    "client/gazecrop": (),
    "client/gazecrop/web": (),
    "deploy": (),
    "export": ("training",),
    "model_repository": (),
    "perf": ("deploy", "export", "server", "training"),
    "server": (),
    "training": (),
}
HELPERS = ("training.files", "training.progress")
ROOMS = {  # room of training → those that it may import
    "data": (),
    "networks": ("data",),
    "detectors": (),
    "stages": ("data", "networks", "detectors"),
    "evaluation": ("data", "networks", "detectors"),
    "experiments": ("data", "networks", "detectors", "stages", "evaluation"),
}
OURS = {CLIENT, *(folder for folder in FOLDERS if "/" not in folder)}


def sources(folder: str) -> list[Path]:
    return sorted((ROOT / folder).rglob("*.py"))


def imported(source: Path) -> Iterator[str]:
    """Full names of all that a file imports, wherever it does."""
    for node in ast.walk(ast.parse(source.read_text("utf-8"), str(source))):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{source}: imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def is_private(name: str) -> bool:
    return any(part.startswith("_") and not part.startswith("__") for part in name.split("."))


def violations(folder: str, source: Path) -> Iterator[str]:
    own = Path(folder).name
    for name in imported(source):
        other = name.split(".")[0]
        if other not in OURS or other == own:
            continue
        if other not in (CLIENT, *FOLDERS[folder]):
            yield f"{source.relative_to(ROOT)} imports {name}"
        if is_private(name) or name.startswith(f"{CLIENT}.__main__"):
            yield f"{source.relative_to(ROOT)} imports the private {name}"


def test_every_folder_with_sources_has_a_law() -> None:
    folders = {path.relative_to(ROOT).parts[0] for path in ROOT.glob("[!.]*/**/*.py")}
    assert folders - {"tests"} == {folder.split("/")[0] for folder in FOLDERS}


@pytest.mark.parametrize("folder", FOLDERS)
def test_folders_use_what_they_may(folder: str) -> None:
    assert sources(folder)
    assert [wrong for source in sources(folder) for wrong in violations(folder, source)] == []


def test_the_client_works_without_its_web_front() -> None:
    front = set(sources("client/gazecrop/web"))
    for source in set(sources("client/gazecrop")) - front:
        assert not [name for name in imported(source) if name.startswith("gazecrop.web")], source


@pytest.mark.parametrize("room", ROOMS)
def test_the_rooms_of_training_follow_the_way_of_the_data(room: str) -> None:
    assert sources(f"training/{room}")
    allowed = tuple(f"training.{name}." for name in (room, *ROOMS[room]))
    packages = tuple(f"training.{name}" for name in (room, *ROOMS[room]))
    for source in sources(f"training/{room}"):
        for name in imported(source):
            if name.startswith("training."):
                module = name.rpartition(".")[0]
                is_allowed = name.startswith(allowed) or module in (*packages, *HELPERS)
                assert is_allowed, f"{source.relative_to(ROOT)} imports {name}"


def test_a_breach_is_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(f"{__name__}.ROOT", tmp_path)
    source = tmp_path / "breach.py"
    source.write_text(
        "import gazecrop\nimport numpy\nimport perf.report\nfrom gazecrop._files import encode\n"
        "from export import onnx\ndef late():\n    from server import embedded\n"
    )
    assert sorted(violations("training", source)) == [
        "breach.py imports export.onnx",
        "breach.py imports perf.report",
        "breach.py imports server.embedded",
        "breach.py imports the private gazecrop._files.encode",
    ]
