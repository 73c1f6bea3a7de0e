from dataclasses import replace
from pathlib import Path

import pytest
import torch

from tests.training.test_data import write_set
from tests.training.test_student import TINY
from training import student, train
from training.data import read_fixation_set, split
from training.evaluate import mean_nss

RECIPE = train.Recipe(epochs=4, batch=8, extractor_rate=3e-3, readout_rate=1e-2, average=0.9)


@pytest.fixture(autouse=True)
def tiny_network(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(train.student, "StudentSizes", lambda: TINY)


def test_training_learns_where_people_look(tmp_path: Path) -> None:
    folder = write_set(tmp_path / "set", photos=60)
    network = train.train([folder], None, replace(RECIPE, epochs=12), tmp_path / "run")
    untrained = student.Student(TINY)
    validation = split(read_fixation_set(folder))[1]
    assert mean_nss(network, validation) > max(1.0, mean_nss(untrained, validation) + 0.5)


def test_an_interrupted_run_goes_on_where_it_stopped(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    folder = write_set(tmp_path / "set", photos=30)
    save = train._save
    epochs: list[int] = []

    def interrupt(run: Path, state: dict[str, object], done: int) -> None:
        save(run, state, done)
        epochs.append(done)
        if len(epochs) == 2:
            raise KeyboardInterrupt

    monkeypatch.setattr(train, "_save", interrupt)
    with pytest.raises(KeyboardInterrupt):
        train.train([folder], None, RECIPE, tmp_path / "run")
    saved = torch.load(tmp_path / "run" / "state.pt", weights_only=True)
    assert saved["epochs"] == 2
    train.train([folder], None, RECIPE, tmp_path / "run")
    assert epochs == [1, 2, 3, 4]
    assert not list((tmp_path / "run").glob("*.partial"))
