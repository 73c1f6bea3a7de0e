"""The command that measures what float16 loses, on small sets."""

import json
import sys
from pathlib import Path

import pytest

from export import accuracy
from tests.training import samples


def test_it_tells_of_each_set(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = samples.write_set(tmp_path / "squares", photos=4)
    out = tmp_path / "accuracy.json"
    monkeypatch.setattr(sys, "argv", ["accuracy", "--elsewhere", str(photos), "--out", str(out)])
    accuracy.main()
    told = json.loads(out.read_text())["sets"]
    assert {name: row["photos"] for name, row in told.items()} == {"squares": 4}
    for row in told.values():
        assert 0 < row["moved, mean"] <= row["moved, most"] < 0.01
        assert row["float16"] == pytest.approx(row["float32"], abs=0.01)
