from pathlib import Path

import pytest

from training.files import whole


def interrupted(file: Path) -> None:
    file.write_text("ne")
    raise KeyboardInterrupt


def test_an_interrupt_leaves_what_was_there(tmp_path: Path) -> None:
    path = tmp_path / "results.json"
    path.write_text("old")
    with pytest.raises(KeyboardInterrupt), whole(path) as file:
        interrupted(file)
    assert path.read_text() == "old"


def test_the_file_and_its_folder_appear_at_the_end(tmp_path: Path) -> None:
    path = tmp_path / "new" / "results.json"
    with whole(path) as file:
        file.write_text("new")
        assert not path.exists()
    assert [path.name for path in path.parent.iterdir()] == ["results.json"]
    assert path.read_text() == "new"


def test_only_the_first_process_renames(tmp_path: Path) -> None:
    with whole(tmp_path / "state.ckpt", rename=False) as file:
        file.write_text("state")
    assert not (tmp_path / "state.ckpt").exists()
