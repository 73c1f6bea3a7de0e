"""Crops for photos by the million: a Ray Data job, on one machine or on a cluster.

    python -m deploy.backfill PHOTOS --out OUT --ratio 1:1 --ratio 16:9 --server HOST:PORT

PHOTOS and OUT are folders, or URIs that pyarrow knows (s3://…, gs://…). Below OUT:

    job.json              what was asked for; going on takes the same
    parts/part-….parquet  a row for each photo and ratio: the window, or why there is none
    crops/                with --write crops: crops/album/a.jpg-16x9.jpg

A part lists photos that are done, and appears when all of them are, under a name that is a hash of
their paths. So a kill at any moment leaves each part whole or absent, and the same command goes on
with the photos that are in no part. Ray carries paths alone: workers read photos themselves, as one
that cannot be read is a row too and no reason to stop.
"""

import argparse
import hashlib
import io
import json
import logging
import os
import signal
import sys
import time
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.dataset
import pyarrow.parquet
import ray
import ray.data
from gazecrop import (
    PHOTO_SUFFIXES,
    Client,
    Crop,
    DeadlineExceeded,
    GazecropError,
    Saliency,
    ServerFailed,
    ServerUnreachable,
    encode,
    parse_ratio,
)
from PIL import Image
from pyarrow import fs

IN_FLIGHT = 8  # photos at a time in each worker
TIMEOUT = 30.0  # seconds for each call: nobody is waiting for it
RETRY_SECONDS = 1.0
PROGRESS_SECONDS = 10.0
PARTIAL = ".partial"
SCHEMA = pa.schema(
    [
        ("path", pa.string()),  # below PHOTOS
        ("ratio", pa.string()),
        ("left", pa.int32()),  # the window, in pixels of the upright photo
        ("top", pa.int32()),
        ("width", pa.int32()),
        ("height", pa.int32()),
        ("kept", pa.float32()),  # share of the predicted attention inside
        ("advice", pa.string()),
        ("error", pa.string()),  # why there is no window
        ("model", pa.string()),  # the network that predicted, as `gazecrop.Saliency.model`
    ]
)


class Stop(Exception):
    """The job cannot go on; the message says why."""


@dataclass(frozen=True)
class Folder:
    """A folder on any file system that pyarrow knows."""

    uri: str

    @classmethod
    def parse(cls, text: str) -> "Folder":
        return cls(text if "://" in text else str(Path(text).resolve()))

    def open(self) -> tuple[fs.FileSystem, str]:
        system, root = fs.FileSystem.from_uri(self.uri)
        return system, root.rstrip("/")


@dataclass(frozen=True)
class Job:
    """What to do. A job that goes on must agree with the first in the first three.

    Attributes:
        write: "rectangles", or "crops" for the cropped pictures besides.
        patience: seconds without an answer after which the job stops.
        model: the network to insist on, if any.
    """

    photos: Folder
    ratios: tuple[str, ...]
    write: str
    out: Folder
    servers: tuple[str, ...]
    patience: float
    model: str | None = None

    def settings(self) -> dict[str, object]:
        return {"photos": self.photos.uri, "ratios": list(self.ratios), "write": self.write}


@dataclass
class Tally:
    """Photos that are done, and those of them that failed."""

    done: int
    failed: int


class Worker:
    """Crops the photos of a part with one client, and writes the part. Lives in a Ray actor."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.source, self.photos = job.photos.open()
        self.target, self.out = job.out.open()
        self.client = Client(job.servers, TIMEOUT, model=job.model)

    def __call__(self, part: pa.Table) -> dict[str, list[Any]]:
        """A row of (done, failed, stopped): how many photos, or why the job has to stop."""
        paths: list[str] = part["path"].to_pylist()
        try:
            with ThreadPoolExecutor(IN_FLIGHT) as pool:
                photos = list(pool.map(self._rows, paths))
            write_part(self.target, self.out, paths, [row for rows in photos for row in rows])
        except Stop as stop:
            return {"done": [0], "failed": [0], "stopped": [str(stop)]}
        failed = sum("error" in rows[0] for rows in photos)
        return {"done": [len(paths)], "failed": [failed], "stopped": [""]}

    def _rows(self, path: str) -> list[dict[str, Any]]:
        try:
            with self.source.open_input_stream(f"{self.photos}/{path}") as file:
                photo = file.read()
            saliency = self._predict(photo)
            crops = {ratio: saliency.crop(ratio) for ratio in self.job.ratios}
            pictures = _cut(photo, crops) if self.job.write == "crops" else {}
        except Stop:
            raise
        except Exception as error:  # decoders raise anything, and one bad photo must not stop all
            message = f"{type(error).__name__}: {error}"
            return [{"path": path, "ratio": ratio, "error": message} for ratio in self.job.ratios]
        for name, picture in pictures.items():
            self._save(f"{self.out}/crops/{path}-{name}", picture)
        return [
            {**_row(path, ratio, crop), "model": saliency.model} for ratio, crop in crops.items()
        ]

    def _predict(self, photo: bytes) -> Saliency:
        """Ask until the server answers, or patience ends.

        Raises:
            Stop: the server is gone, or too busy.
            GazecropError: it refuses this photo, or answers others but never this one.
        """
        deadline = time.monotonic() + self.job.patience
        while True:
            try:
                return self.client.predict(photo)
            except (ServerUnreachable, DeadlineExceeded, ServerFailed) as error:
                if time.monotonic() > deadline:
                    if isinstance(error, ServerUnreachable) or not self._server_is_ready():
                        raise Stop(self._gone(error)) from error
                    raise
            time.sleep(RETRY_SECONDS)

    def _gone(self, error: GazecropError) -> str:
        return (
            f"no prediction for {self.job.patience:g} s, the last time because: {error}. "
            "When the server is back, the same command goes on"
        )

    def _server_is_ready(self) -> bool:
        try:
            return self.client.is_ready()
        except GazecropError:
            return False

    def _save(self, path: str, picture: bytes) -> None:
        # In place: a crop that a kill cut off is in no part, so it is written again.
        try:
            if isinstance(self.target, fs.LocalFileSystem):  # object stores have no folders
                self.target.create_dir(path.rpartition("/")[0])
            with self.target.open_output_stream(path) as file:
                file.write(picture)
        except OSError as error:
            raise Stop(f"cannot write {path}: {error}") from error


def _row(path: str, ratio: str, crop: Crop) -> dict[str, Any]:
    window = crop.rect._asdict()
    return {"path": path, "ratio": ratio, **window, "kept": crop.kept, "advice": crop.advice}


def _cut(photo: bytes, crops: dict[str, Crop]) -> dict[str, bytes]:
    """Encoded pictures by the end of their files' names."""
    pictures = {}
    with Image.open(io.BytesIO(photo)) as image:
        for ratio, crop in crops.items():
            data, suffix = encode(crop.apply(image))
            pictures[ratio.replace(":", "x") + suffix] = data
    return pictures


def write_part(system: fs.FileSystem, out: str, paths: list[str], rows: list[Any]) -> None:
    """List photos as done: all of them or, if this is cut off, none.

    Raises:
        Stop: the part cannot be written.
    """
    file = io.BytesIO()
    pyarrow.parquet.write_table(pa.Table.from_pylist(rows, SCHEMA), file)
    name = hashlib.sha256("\0".join(paths).encode()).hexdigest()[:32]
    _write_whole(system, f"{out}/parts", f"part-{name}.parquet", file.getvalue())


def _write_whole(system: fs.FileSystem, folder: str, name: str, data: bytes) -> None:
    # Two may write the same part, when Ray takes a worker for lost that is not.
    temporary = f"{folder}/.{name}-{uuid.uuid4().hex}{PARTIAL}"
    try:
        with system.open_output_stream(temporary) as file:
            file.write(data)
        system.move(temporary, f"{folder}/{name}")
    except OSError as error:
        raise Stop(f"cannot write {folder}/{name}: {error}") from error


def prepare(job: Job) -> None:
    """Make OUT ready for a job, new or going on.

    Raises:
        Stop: OUT is of another job, or lies where its crops would be taken for photos.
    """
    system, out = job.out.open()
    source, photos = job.photos.open()
    if system.type_name == source.type_name and f"{out}/".startswith(f"{photos}/"):
        raise Stop(f"{job.out.uri} lies in {job.photos.uri}: choose another --out")
    system.create_dir(f"{out}/parts", recursive=True)
    for info in system.get_file_info(fs.FileSelector(f"{out}/parts")):
        if info.path.endswith(PARTIAL):
            system.delete_file(info.path)
    settings = f"{out}/job.json"
    if system.get_file_info(settings).type == fs.FileType.NotFound:
        _write_whole(system, out, "job.json", json.dumps(job.settings()).encode())
    with system.open_input_stream(settings) as file:
        before = json.loads(file.read())
    if before != job.settings():
        raise Stop(f"{job.out.uri} holds another job, {before}: choose another --out")


def find_photos(folder: Folder) -> list[str]:
    """Paths of all photos below a folder, in order.

    Raises:
        Stop: there are none, or one has a name that is not UTF-8.
    """
    system, root = folder.open()
    try:
        infos = system.get_file_info(fs.FileSelector(root, recursive=True))
    except UnicodeDecodeError as error:  # pyarrow has no way to name such a file
        raise Stop(f"not UTF-8, rename it: {error.object!r}") from error
    paths = [info.path[len(root) + 1 :] for info in infos if info.type != fs.FileType.Directory]
    photos = sorted(path for path in paths if Path(path).suffix.lower() in PHOTO_SUFFIXES)
    if not photos:
        raise Stop(f"{folder.uri} holds no photo ({', '.join(sorted(PHOTO_SUFFIXES))})")
    return photos


def finished(out: Folder) -> dict[str, bool]:
    """Photos that are in a part, and whether they failed."""
    system, root = out.open()
    parts = pyarrow.dataset.dataset(f"{root}/parts", SCHEMA, "parquet", system)
    table = parts.to_table(["path", "error"])
    errors = table["error"].is_valid().to_pylist()
    return dict(zip(table["path"].to_pylist(), errors, strict=True))


class Progress:
    """A line on standard error every few seconds."""

    def __init__(self, total: int) -> None:
        self.total = total
        self.first: tuple[float, int] | None = None  # before it, workers were starting
        self.last = 0.0

    def show(self, tally: Tally) -> None:
        now = time.monotonic()
        if self.first is None:
            self.first, self.last = (now, tally.done), now
            return
        if now - self.last < PROGRESS_SECONDS:
            return
        self.last = now
        rate = (tally.done - self.first[1]) / (now - self.first[0])
        left = timedelta(seconds=round((self.total - tally.done) / rate))
        count = f"{tally.done:,} of {self.total:,} photos, {tally.failed:,} failed"
        _say(f"{count}, {rate:.0f} a second, {left} left")


def crop_all(job: Job, paths: list[str], part_size: int, jobs: int | None) -> Iterator[Tally]:
    """Crop photos on the running Ray; what each part adds.

    Raises:
        Stop: the server is gone, or OUT cannot be written.
    """
    # Done photos are whole parts, so a job that goes on cuts the rest into the same parts again:
    # a worker that outlives a kill for a moment writes nothing twice.
    starts = range(0, len(paths), part_size)
    parts = [pa.table({"path": paths[start : start + part_size]}) for start in starts]
    workers = min(len(parts), jobs or max(1, int(ray.cluster_resources().get("CPU", 1))))
    results = ray.data.from_arrow(parts).map_batches(
        Worker,
        fn_constructor_args=[job],
        compute=ray.data.ActorPoolStrategy(size=workers),
        batch_size=None,  # a part
        batch_format="pyarrow",
    )
    for row in results.iter_rows():
        if row["stopped"]:
            raise Stop(row["stopped"])
        yield Tally(row["done"], row["failed"])


def run(job: Job, part_size: int, jobs: int | None, address: str | None) -> Tally:
    """Do what is left of a job, with progress on standard error; what OUT holds in the end.

    Raises:
        Stop: the job cannot start or go on. What is done is done.
    """
    prepare(job)
    before = finished(job.out)
    photos = find_photos(job.photos)
    paths = [path for path in photos if path not in before]
    tally = Tally(len(before), sum(before.values()))
    _say(f"{len(photos):,} photos, {len(photos) - len(paths):,} of them done before")
    if not paths:
        return tally
    _start_ray(address, jobs)
    progress = Progress(tally.done + len(paths))
    try:
        for part in crop_all(job, paths, part_size, jobs):
            tally.done, tally.failed = tally.done + part.done, tally.failed + part.failed
            progress.show(tally)
    finally:
        ray.shutdown()
    return tally


def _start_ray(address: str | None, jobs: int | None) -> None:
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")  # it would report to its makers
    quiet: dict[str, Any] = {"log_to_driver": False, "logging_level": logging.ERROR}
    if address is None:
        ray.init("local", num_cpus=jobs, include_dashboard=False, **quiet)
    else:
        ray.init(address, **quiet)
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # Ray's own handler aborts
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)


def main(arguments: list[str] | None = None) -> int:
    """The exit status: 0, or 1 if photos failed, or 2 if the job stopped before its end."""
    args = _parser().parse_args(arguments)
    ratios, servers = tuple(dict.fromkeys(args.ratio)), tuple(args.server)
    out, photos = Folder.parse(args.out), Folder.parse(args.photos)
    job = Job(photos, ratios, args.write, out, servers, args.patience, args.model)
    try:
        tally = run(job, args.part, args.jobs, args.address)
    except (Stop, OSError, pa.ArrowInvalid, ray.exceptions.RayError) as error:
        _say(f"error: {error}")
        return 2
    except KeyboardInterrupt:
        return 130
    cropped = tally.done - tally.failed
    _say(f"done: {cropped:,} photos cropped, {tally.failed:,} failed; see {out.uri}/parts")
    return 1 if tally.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m deploy.backfill")
    parser.add_argument("photos", metavar="PHOTOS", help="a folder, or a URI such as s3://…")
    parser.add_argument("--out", required=True, help="a folder or URI outside of PHOTOS")
    parser.add_argument(
        "--ratio", action="append", required=True, type=_ratio, metavar="W:H", help="repeatable"
    )
    parser.add_argument(
        "--server",
        action="append",
        required=True,
        metavar="HOST:PORT",
        help="Triton's gRPC address; repeat to spread the calls",
    )
    parser.add_argument("--write", choices=["crops", "rectangles"], default="rectangles")
    parser.add_argument("--jobs", type=_count, metavar="N", help="workers; default: all CPUs")
    parser.add_argument("--model", metavar="SHA256", help="insist on this network")
    parser.add_argument("--address", help="of a Ray cluster: auto, ray://…; default: this machine")
    parser.add_argument(
        "--part", type=_count, default=1000, metavar="N", help="photos in each file (1000)"
    )
    parser.add_argument(
        "--patience", type=float, default=300, help="seconds to wait for an absent server (300)"
    )
    return parser


def _ratio(text: str) -> str:
    parse_ratio(text)
    return text


def _count(text: str) -> int:
    if not (text.isdecimal() and int(text)):
        raise argparse.ArgumentTypeError(f"not a positive number: {text!r}")
    return int(text)


if __name__ == "__main__":
    sys.exit(main())
