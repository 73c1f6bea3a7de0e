"""How well the tools crop, as `training.evaluation.croppers` measured it."""

import json
from pathlib import Path

from perf.peers import ATTENTION, FACE, GAZECROP, SERVED, SMARTCROP, SPECTRAL, TWITTER

CROPPERS = Path(__file__).parents[1] / "docs" / "croppers.json"
ROWS = {  # tool → its row there
    GAZECROP: "gazecrop",
    SERVED: "gazecrop",
    TWITTER: "Twitter's network, densest point",
    SMARTCROP: "smartcrop.py",
    ATTENTION: "libvips attention",
    SPECTRAL: "OpenCV saliency",
    FACE: "face, else centre",
}
COLUMN = "gap closed"


def read(file: Path = CROPPERS) -> dict[str, dict[str, float]]:
    """By fixation set and tool: how far its crops come from a centred one (0) to the best (1).

    Empty where nothing was measured; a tool without a row is left out.
    """
    if not file.exists():
        return {}
    return {
        name: {
            tool: measured["rows"][row][COLUMN]["mean"]
            for tool, row in ROWS.items()
            if row in measured["rows"]
        }
        for name, measured in json.loads(file.read_text()).items()
    }
