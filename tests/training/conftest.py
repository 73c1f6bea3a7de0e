"""The detectors, loaded once."""

import pytest

from training.detectors import heads, text, weights


@pytest.fixture(scope="session")
def installed() -> None:
    if not weights.FOLDER.is_dir():
        pytest.skip("the detectors are not installed: make detectors")


@pytest.fixture(scope="session")
def head_detector(installed: None) -> heads.HeadDetector:
    return heads.load()


@pytest.fixture(scope="session")
def text_detector(installed: None) -> text.TextDetector:
    return text.load()
