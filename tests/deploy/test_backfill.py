"""The Ray Data job on this machine: it survives a kill and bad photos, and heeds a lost server."""

import hashlib
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path

import gazecrop
import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest
from PIL import Image

from deploy import backfill
from tests.conftest import encode

ROOT = Path(__file__).parents[2]
RATIOS = ("1:1", "16:9")
PHOTOS = 200
BROKEN = {"0/008.jpg", "1/005.jpg", "2/106.jpg", "3/187.jpg"}
NOBODY = "127.0.0.1:9"
PART = 8
CHECKPOINT = ROOT / "training" / "checkpoints" / "student.safetensors"
MODEL = hashlib.sha256(CHECKPOINT.read_bytes()).hexdigest()[:12]
MARK = "GAZECROP_TEST_BACKFILL"

Start = Callable[..., subprocess.Popen[str]]


@pytest.fixture(scope="module")
def album(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Photos of many sizes and two formats in four folders, and among them a few that are none."""
    folder = tmp_path_factory.mktemp("album")
    random = np.random.default_rng(0)
    for index in range(PHOTOS):
        path = folder / str(index % 4) / f"{index:03}.jpg"
        path = path if index % 10 else path.with_suffix(".PNG")
        path.parent.mkdir(exist_ok=True)
        width, height = random.integers(30, 300, 2).tolist()
        noise = random.integers(0, 256, (4, 4, 3), np.uint8)
        picture = Image.fromarray(noise).resize((width, height))
        path.write_bytes(encode(picture, "PNG" if path.suffix == ".PNG" else "JPEG"))
    for number, name in enumerate(sorted(BROKEN)):
        path = folder / name
        whole = path.read_bytes()
        path.write_bytes([b"", b"no photo", whole[: len(whole) // 2], whole[:3]][number])
    (folder / "notes.txt").write_text("no photo either")
    return folder


@pytest.fixture
def start(tmp_path: Path) -> Iterator[Start]:
    """Starts the command; nothing of it may run or lie about in the end."""
    running = []
    with tempfile.TemporaryDirectory(prefix="ray-") as temporary:  # sockets need a short path

        def run(*arguments: str | Path) -> subprocess.Popen[str]:
            command = [sys.executable, "-m", "deploy.backfill", *map(str, arguments)]
            homes = {"RAY_TMPDIR": temporary, "HOME": temporary}  # Ray leaves logs and a token
            environment = {**os.environ, **homes, MARK: str(tmp_path)}
            process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=environment,
                stderr=subprocess.PIPE,
                text=True,
                start_new_session=True,
            )
            running.append(process)
            return process

        yield run
        for process in running:
            if process.poll() is None:
                os.killpg(process.pid, signal.SIGKILL)
            process.communicate()
        assert wait_for(lambda: not processes_of(tmp_path)), processes_of(tmp_path)


def processes_of(folder: Path) -> list[str]:
    """Command lines of all that a test has started, by what they inherited."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            if f"{MARK}={folder}\0".encode() in (process / "environ").read_bytes():
                found.append((process / "cmdline").read_text().replace("\0", " "))
        except OSError:  # ended meanwhile, or not ours
            continue
    return found


def wait_for(condition: Callable[[], bool], seconds: float = 120) -> bool:
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.02)
    return True


def options(out: Path, server: str) -> list[str]:
    ratios = [f"--ratio={ratio}" for ratio in RATIOS]
    return [*ratios, "--out", str(out), "--server", server, "--part", str(PART), "--jobs", "2"]


def job(photos: Path, out: Path, server: str, **settings: object) -> backfill.Job:
    defaults = {"ratios": RATIOS, "write": "rectangles", "servers": (server,), "patience": 0.0}
    folders = {"photos": backfill.Folder(str(photos)), "out": backfill.Folder(str(out))}
    return backfill.Job(**{**defaults, **folders, **settings})  # type: ignore[arg-type]


def whole_parts(out: Path) -> dict[str, int]:
    """When each was written, in ns."""
    return {path.name: path.stat().st_mtime_ns for path in (out / "parts").glob("*.parquet")}


def rows_in(out: Path) -> list[dict[str, object]]:
    rows: list[dict[str, object]] = pa.parquet.read_table(out / "parts").to_pylist()
    return rows


def test_a_killed_job_goes_on(album: Path, grpc: str, start: Start, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(album, *options(out, grpc))
    assert wait_for(lambda: len(whole_parts(out)) >= 3), process.communicate()[1]
    os.killpg(process.pid, signal.SIGKILL)
    process.wait()
    assert wait_for(lambda: not processes_of(tmp_path)), processes_of(tmp_path)
    before = whole_parts(out)
    assert 3 <= len(before) < PHOTOS / PART
    (out / "parts" / f".part-0.parquet-1{backfill.PARTIAL}").write_bytes(b"PAR1 cut off")

    process = start(album, *options(out, grpc))
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 1, said
    assert f"{PHOTOS} photos, {PART * len(before)} of them done before" in said
    assert f"{PHOTOS - len(BROKEN)} photos cropped, {len(BROKEN)} failed" in said

    after = whole_parts(out)
    assert {name: after[name] for name in before} == before
    assert {path.name for path in (out / "parts").iterdir()} == set(after)
    rows = rows_in(out)
    photos = [path.relative_to(album) for path in album.glob("*/*")]
    every = {(str(path), ratio): 1 for path in photos for ratio in RATIOS}
    assert Counter((row["path"], row["ratio"]) for row in rows) == every
    assert {row["path"] for row in rows if row["error"]} == BROKEN
    for row in rows:
        assert_window_fits(album, row)


def assert_window_fits(album: Path, row: dict[str, object]) -> None:
    left, top, width, height, kept = (
        row[name] for name in ("left", "top", "width", "height", "kept")
    )
    if row["error"]:
        assert {left, top, width, height, kept, row["advice"]} == {None}
        return
    with Image.open(album / str(row["path"])) as photo:
        assert 0 <= left <= left + width <= photo.width  # type: ignore[operator]
        assert 0 <= top <= top + height <= photo.height  # type: ignore[operator]
        assert width == photo.width or height == photo.height
    assert 0 < kept <= 1.001  # type: ignore[operator]
    assert row["advice"] in ("crop", "pad")


def test_a_finished_job_has_nothing_to_do(
    album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    asked = job(album, out, NOBODY)
    backfill.prepare(asked)
    paths = backfill.find_photos(asked.photos)
    rows = [{"path": path, "ratio": ratio} for path in paths for ratio in RATIOS]
    backfill.write_part(*asked.out.open(), paths, rows)
    assert backfill.main([str(album), *options(out, NOBODY)]) == 0
    assert f"done: {PHOTOS} photos cropped, 0 failed" in capsys.readouterr().err


def test_a_lost_server_stops_the_job(album: Path, start: Start, tmp_path: Path) -> None:
    out = tmp_path / "out"
    process = start(album, *options(out, NOBODY), "--patience", "0", "--jobs", "1")
    said = process.communicate(timeout=60)[1]
    assert process.returncode == 2, said
    assert "\nerror: no prediction for 0 s" in said
    assert NOBODY in said
    assert "Traceback" not in said
    assert not whole_parts(out)


def test_crops_are_written_too(album: Path, grpc: str, tmp_path: Path) -> None:
    out = tmp_path / "out"
    asked = job(album, out, grpc, write="crops", patience=20)
    backfill.prepare(asked)
    paths = ["0/000.PNG", "0/004.jpg", "0/missing.jpg", min(BROKEN)]
    result = backfill.Worker(asked)(pa.table({"path": paths}))
    assert result == {"done": [4], "failed": [2], "stopped": [""]}
    rows = rows_in(out)
    windows = {
        f"{row['path']}-{str(row['ratio']).replace(':', 'x')}": (row["width"], row["height"])
        for row in rows
        if not row["error"]
    }
    crops = sorted(path for path in (out / "crops").rglob("*") if path.is_file())
    sizes = {str(path.relative_to(out / "crops").with_suffix("")): size(path) for path in crops}
    assert len(sizes) == 4
    assert {row["model"] for row in rows if not row["error"]} == {MODEL}
    assert sizes == windows
    errors = {row["path"]: row["error"] for row in rows if row["error"]}
    assert str(errors["0/missing.jpg"]).startswith("FileNotFoundError: ")
    assert str(errors[min(BROKEN)]).startswith("ImageRejected: ")


def size(path: Path) -> tuple[int, int]:
    with Image.open(path) as picture:
        return picture.size


class FlakyClient:
    """A client that gets these errors, and then answers."""

    def __init__(self, *errors: gazecrop.GazecropError) -> None:
        self.errors = list(errors)

    def is_ready(self) -> bool:
        return True

    def predict(self, photo: bytes) -> gazecrop.Saliency:
        if self.errors:
            raise self.errors.pop(0)
        return gazecrop.Saliency(np.full((4, 4), 1 / 16, np.float32), (40, 30))


@pytest.mark.parametrize(
    ("errors", "patience", "failed", "stopped"),
    [
        ([gazecrop.ServerUnreachable("gone"), gazecrop.DeadlineExceeded("late")], 60, 0, ""),
        ([gazecrop.ServerFailed("this photo alone")], 0, 1, ""),
        ([gazecrop.ServerUnreachable("gone")], 0, 0, "gone"),
    ],
    ids=["waits for the server", "gives up a photo", "gives up the server"],
)
def test_patience(
    album: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    errors: list[gazecrop.GazecropError],
    patience: float,
    failed: int,
    stopped: str,
) -> None:
    monkeypatch.setattr(backfill, "Client", lambda *_, **__: FlakyClient(*errors))
    monkeypatch.setattr(backfill, "RETRY_SECONDS", 0.01)
    asked = job(album, tmp_path / "out", NOBODY, patience=patience)
    backfill.prepare(asked)
    result = backfill.Worker(asked)(pa.table({"path": ["0/004.jpg"]}))
    assert result["failed"] == [failed]
    assert stopped in result["stopped"][0]
    assert bool(result["stopped"][0]) == bool(stopped)
    assert len(whole_parts(tmp_path / "out")) == (0 if stopped else 1)


def test_progress(monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    clock = iter([100.0, 105.0, 120.0])
    monkeypatch.setattr(time, "monotonic", lambda: next(clock))
    progress = backfill.Progress(5000)
    for done in (1000, 2000, 3000):
        progress.show(backfill.Tally(done, 7))
    said = "3,000 of 5,000 photos, 7 failed, 100 a second, 0:00:20 left\n"
    assert capsys.readouterr().err == said


def test_another_job_does_not_go_on_here(
    album: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "out"
    backfill.prepare(job(album, out, NOBODY, ratios=("4:5",)))
    assert backfill.main([str(album), *options(out, NOBODY)]) == 2
    assert "holds another job" in capsys.readouterr().err


@pytest.mark.parametrize("inside", ["", "0/out"])
def test_crops_do_not_lie_among_the_photos(
    album: Path, inside: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert backfill.main([str(album), *options(album / inside, NOBODY)]) == 2
    assert "choose another --out" in capsys.readouterr().err


def test_a_folder_without_photos(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "empty").mkdir()
    assert backfill.main([str(tmp_path / "empty"), *options(tmp_path / "out", NOBODY)]) == 2
    assert "holds no photo" in capsys.readouterr().err
