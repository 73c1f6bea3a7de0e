"""As much of Kustomize as deploy/kubernetes uses, so that its result can be tested without it.

`test_manifests` compares this with Kustomize itself where that is installed.
"""

from pathlib import Path
from typing import Any

import yaml

Object = dict[str, Any]


def load(path: Path) -> Object:
    """The one object in a file."""
    [loaded] = yaml.safe_load_all(path.read_text("utf-8"))
    return dict(loaded)


def render(folder: Path) -> list[Object]:
    """The objects that a folder's kustomization stands for."""
    kustomization = load(folder / "kustomization.yaml")
    objects: list[Object] = []
    for name in kustomization.pop("resources", []) + kustomization.pop("components", []):
        path = folder / name
        objects += render(path) if path.is_dir() else [load(path)]
    for generator in kustomization.pop("configMapGenerator", []):
        objects.append(_config_map(folder, generator))
    for patch in kustomization.pop("patches", []):
        change = load(folder / patch["path"])
        [target] = [o for o in objects if _identity(o) == _identity(change)]
        objects[objects.index(target)] = _merge(target, change)
    for image in kustomization.pop("images", []):
        for container in _containers(objects):
            if container["image"] == image["name"]:
                container["image"] = f"{image['newName']}:{image['newTag']}"
    if namespace := kustomization.pop("namespace", None):
        for found in objects:
            if found["kind"] != "Namespace":
                found["metadata"]["namespace"] = namespace
    assert set(kustomization) == {"apiVersion", "kind"}, "not understood here"
    return objects


def the(objects: list[Object], kind: str) -> Object:
    [found] = [each for each in objects if each["kind"] == kind]
    return found


def _identity(found: Object) -> tuple[str, str]:
    return found["kind"], found["metadata"]["name"]


def _config_map(folder: Path, generator: Object) -> Object:
    assert generator["options"]["disableNameSuffixHash"]
    return {
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": generator["name"], "labels": generator["options"]["labels"]},
        "data": {name: (folder / name).read_text("utf-8") for name in generator["files"]},
    }


def _merge(target: Any, change: Any) -> Any:
    """Mappings merge; lists of named things merge by name, others are replaced."""
    if isinstance(target, dict) and isinstance(change, dict):
        return {
            key: _merge(target.get(key), change.get(key, target.get(key)))
            for key in [*target, *(key for key in change if key not in target)]
        }
    if isinstance(target, list) and all(isinstance(x, dict) and "name" in x for x in target):
        changes = {each["name"]: each for each in change}
        assert set(changes) <= {each["name"] for each in target}
        return [_merge(each, changes.get(each["name"], each)) for each in target]
    return change


def _containers(objects: list[Object]) -> list[Object]:
    pods = [found["spec"]["template"]["spec"] for found in objects if found["kind"] == "Deployment"]
    return [each for pod in pods for each in pod.get("initContainers", []) + pod["containers"]]
