import json
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from perf.measurements import tolerance
from perf.measurements.quality import CENTRE, CLOSED
from perf.measurements.tolerance import CUT, DEFAULT, PEERS
from tests.training.samples import write_set


def test_the_command_draws_and_tells_the_curve(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    photos = write_set(tmp_path / "crowd", photos=20)
    heads = [f"{number}.png,24,16,12,16" for number in range(20)]
    (photos / "heads.csv").write_text("\n".join(["image,left,top,width,height", *heads]))
    peer = {CUT: {"mean": 0.5}, CLOSED: {"mean": -0.5}}
    told = {"crowd": {"rows": {PEERS[0]: peer, CENTRE: peer}}}
    (tmp_path / "croppers.json").write_text(json.dumps(told))
    monkeypatch.setattr(tolerance, "TOLERANCES", (0.0, 0.02, 0.5))
    command = ["tolerance", "--elsewhere", str(photos), "--out", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", command)
    tolerance.main()
    rows = json.loads((tmp_path / "tolerance.json").read_text())["rows"]
    assert list(rows) == ["0", "0.02", "0.5", DEFAULT]
    assert rows[DEFAULT] == rows["0.02"]
    with Image.open(tmp_path / "tolerance.png") as picture:
        assert np.asarray(picture.convert("L")).std() > 10


def test_a_set_without_heads_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    photos = write_set(tmp_path, photos=2)
    monkeypatch.setattr(sys, "argv", ["tolerance", "--elsewhere", str(photos)])
    with pytest.raises(SystemExit):
        tolerance.main()
