"""Programs of another release are refused by name, and stay as they are."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from server import lack_of_room, request_size
from server.embedded import ServerError


@pytest.mark.parametrize("change", [partial(request_size.bound, size=1), lack_of_room.name])
def test_another_release_is_refused(change: Callable[[Path], object], tmp_path: Path) -> None:
    other = tmp_path / "program"
    other.write_bytes(b"another release")
    with pytest.raises(ServerError, match=r"program is not that of nvidia-pytriton 0\.7\.0"):
        change(other)
    assert other.read_bytes() == b"another release"
