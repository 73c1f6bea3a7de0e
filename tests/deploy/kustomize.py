"""The manifests as `kubectl kustomize` renders them."""

import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

import yaml

KUBECTL = Path(sys.executable).with_name("kubectl")
Object = dict[str, Any]


def load(path: Path) -> Object:
    """The one object in a file."""
    [loaded] = yaml.safe_load_all(path.read_text("utf-8"))
    return dict(loaded)


def render(folder: Path) -> list[Object]:
    """The objects that a folder's kustomization stands for."""
    return list(yaml.safe_load_all(_rendered(folder)))


@cache
def _rendered(folder: Path) -> str:
    command = [str(KUBECTL), "kustomize", str(folder)]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout


def the(objects: list[Object], kind: str) -> Object:
    [found] = [each for each in objects if each["kind"] == kind]
    return found
