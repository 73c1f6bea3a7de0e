import shutil
from pathlib import Path

import pytest

from tests.training.samples import write_set
from training.data.sources import Sources


@pytest.fixture
def data(tmp_path: Path) -> Path:
    """Two fixation sets, and unlabelled photos of which some are also in the first set."""
    write_set(tmp_path / "one", photos=12)
    write_set(tmp_path / "two", photos=20, size=(60, 60))
    shutil.copytree(tmp_path / "one" / "images", tmp_path / "photos")
    return tmp_path


def names(sources: Sources) -> dict[str, list[str]]:
    return {
        name: [p.path.name for p in validation] for name, (_, validation) in sources.sets.items()
    }


def test_nothing_learns_from_a_set_that_is_left_out(data: Path) -> None:
    all_sets, rest = Sources(data), Sources(data, leave_out=["two"])
    assert list(rest.left_out) == ["two"]
    assert len(rest.left_out["two"]) == 20
    learnt_from = {photo.path.parent.parent.name for photo in (*rest.training, *rest.validation)}
    assert learnt_from == {"one"}
    assert names(rest) == {"one": names(all_sets)["one"]}


def test_unlabelled_photos_show_no_held_out_scene(data: Path) -> None:
    validation = names(Sources(data))["one"]
    left = [path.name for path in Sources(data).unlabelled]
    assert set(left).isdisjoint(validation)
    assert left
    assert Sources(data, leave_out=["one"]).unlabelled == []


def test_broken_data_is_refused_at_the_start(data: Path) -> None:
    with pytest.raises(ValueError, match="no set three to leave out of one, two"):
        Sources(data, leave_out=["three"])
    with pytest.raises(ValueError, match="too few photos to learn"):
        Sources(data, leave_out=["one", "two"])
    photo = data / "photos" / "3.png"
    photo.write_bytes(photo.read_bytes()[:200])
    with pytest.raises(ValueError, match=r"photos.3\.png cannot be read"):
        Sources(data).check()
    shutil.rmtree(data / "photos")
    (data / "photos").mkdir()
    with pytest.raises(ValueError, match="photos holds no photo"):
        Sources(data).check()
    (data / "two" / "fixations.csv").unlink()
    with pytest.raises(ValueError, match=r"two has images/ but no fixations\.csv"):
        Sources(data)
