"""Tritons of their own for tests that stop, freeze or fill them."""

import contextlib
import shutil
import signal
import subprocess
from collections.abc import Iterator
from pathlib import Path

from server import embedded


@contextlib.contextmanager
def triton(
    address: embedded.Address,
    folder: Path,
    options: tuple[str, ...] = (),
    model_repository: Path = embedded.MODEL_REPOSITORY,
) -> Iterator[subprocess.Popen[bytes]]:
    """A Triton that is killed at the end, or may be before: nobody waits for it."""
    with (
        (folder / "triton.log").open("a") as log,
        embedded.run(address, model_repository, log, options) as process,
    ):
        try:
            yield process
        finally:
            process.kill()
            process.send_signal(signal.SIGCONT)


def with_queue_of(size: int, folder: Path) -> Path:
    """A copy of the model repository that decodes one photo at a time and lets so many wait."""
    repository = folder / "repository"
    shutil.copytree(embedded.MODEL_REPOSITORY, repository)
    config = repository / "preprocess" / "config.pbtxt"
    text = config.read_text()
    text = text.replace("count: 3", "count: 1").replace("max_batch_size: 32", "max_batch_size: 1")
    text = text.replace("preferred_batch_size: [ 2 ]", "")
    assert "max_queue_size: 128" in text
    config.write_text(text.replace("max_queue_size: 128", f"max_queue_size: {size}"))
    ensemble = repository / "saliency" / "config.pbtxt"
    ensemble.write_text(ensemble.read_text().replace("max_batch_size: 32", "max_batch_size: 1"))
    return repository
