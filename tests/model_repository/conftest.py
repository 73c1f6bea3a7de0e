"""The preprocessing's own modules, as Triton has them: found in their folder."""

import importlib
import sys
import types

import pytest

from server.embedded import MODEL_REPOSITORY

sys.path.append(str(MODEL_REPOSITORY / "preprocess" / "1"))


@pytest.fixture(scope="session")
def preprocess() -> types.ModuleType:
    return importlib.import_module("photo")
