"""The preprocessing's own module, loaded from where Triton loads it."""

import importlib.util
import types

import pytest

from server.embedded import MODEL_REPOSITORY


@pytest.fixture(scope="session")
def preprocess() -> types.ModuleType:
    path = MODEL_REPOSITORY / "preprocess" / "1" / "photo.py"
    spec = importlib.util.spec_from_file_location("preprocess_photo", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module
