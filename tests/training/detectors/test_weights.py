from pathlib import Path

import pytest

from training.detectors import weights


def test_says_how_to_get_what_is_missing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(weights, "FOLDER", tmp_path)
    with pytest.raises(FileNotFoundError, match=r"onet\.pt of the package facenet.*make detectors"):
        weights.packaged_file("facenet-pytorch", "onet.pt")
