"""The command line: `gazecrop crop`, `gazecrop predict`, `gazecrop ping`."""

import argparse
import contextlib
import json
import signal
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from types import FrameType
from typing import Any

from PIL import Image

from gazecrop import (
    TLS,
    Client,
    Crop,
    CropOptions,
    GazecropError,
    InvalidArgument,
    Saliency,
    ServerUnreachable,
    overlay,
)
from gazecrop._copyright import copyright_of
from gazecrop._files import STANDARD, Found, Source, find_photos, real_paths, save
from gazecrop._geometry import Size, parse_ratio
from gazecrop._pipeline import in_order
from gazecrop._progress import Progress
from gazecrop._save import encode
from gazecrop._source import Photo
from gazecrop._terminal import complain, leave, prepare, shown, write_out
from gazecrop._window import TOLERANCE

DEFAULT_RATIOS = ["16:9", "1:1", "4:5"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status is 0, or 1 if anything failed."""
    prepare()
    args = _parser().parse_args(arguments)
    try:
        with _ended_by_signals(), _client(args) as client:
            status: int = args.run(client, args)
            return status
    except GazecropError as error:
        complain(f"error: {error}")
        return 1
    except KeyboardInterrupt:
        return 130
    except BrokenPipeError:  # whoever read our output has seen enough
        leave()
        return 1


@contextlib.contextmanager
def _ended_by_signals() -> Iterator[None]:
    """End by SIGTERM and SIGHUP as by an error, so that files under way are finished."""

    def end(number: int, _: FrameType | None) -> None:
        raise SystemExit(128 + number)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    names = [signal.SIGTERM, *filter(None, [getattr(signal, "SIGHUP", None)])]
    before = {name: signal.signal(name, end) for name in names}
    try:
        yield
    finally:
        for name, handler in before.items():
            signal.signal(name, handler)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gazecrop", description="crop where people will look")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")
    photos = argparse.ArgumentParser(add_help=False)
    photos.add_argument(
        "photos",
        nargs="+",
        metavar="PHOTO",
        help="a file, a folder with all below it, a quoted pattern, or - for standard input",
    )
    photos.add_argument("--jobs", type=int, default=8, metavar="N", help="photos at a time")
    connection = _connection_options()

    crop = commands.add_parser("crop", parents=[photos, connection], help="write crops of photos")
    crop.set_defaults(run=_crop)
    _add_crop_options(crop)
    predict = commands.add_parser(
        "predict", parents=[photos, connection], help="print saliency as lines of JSON"
    )
    predict.set_defaults(run=_predict)
    ping = commands.add_parser("ping", parents=[connection], help="is the server ready?")
    ping.set_defaults(run=_ping)
    return parser


def _connection_options() -> argparse.ArgumentParser:
    options = argparse.ArgumentParser(add_help=False)
    group = options.add_argument_group("connection")
    group.add_argument(
        "--server",
        action="append",
        metavar="HOST:PORT",
        help="Triton's gRPC address (GAZECROP_SERVER's, or localhost:8001); repeat for several",
    )
    group.add_argument("--timeout", type=float, default=5.0, help="seconds for each call")
    group.add_argument("--tls", action="store_true", help="encrypt")
    group.add_argument("--ca", metavar="PEM", help="root certificates to trust (with TLS)")
    group.add_argument("--key", metavar="PEM", help="this client's private key (with TLS)")
    group.add_argument("--cert", metavar="PEM", help="this client's certificates (with TLS)")
    group.add_argument(
        "--metadata", action="append", default=[], metavar="KEY=VALUE", help="sent with each call"
    )
    group.add_argument(
        "--model", metavar="SHA256", help="insist on this network, as `ping` names it"
    )
    return options


def _add_crop_options(crop: argparse.ArgumentParser) -> None:
    crop.add_argument("--ratio", action="append", metavar="W:H", help="repeat for more than one")
    crop.add_argument(
        "--size", action="append", type=_size, default=[], metavar="WxH", help="pixels to resize to"
    )
    crop.add_argument(
        "--out", default="crops", metavar="DIR", help="or - for one crop to standard output"
    )
    crop.add_argument(
        "--overlay",
        nargs="?",
        type=_map,
        const="saliency",
        metavar="MAP",
        help="also draw a map, saliency (the default) or integrity, and the frames",
    )
    crop.add_argument(
        "--keep-copyright", action="store_true", help="keep the photo's artist and copyright"
    )
    crop.add_argument("--json", action="store_true", help="print a line of JSON for each photo")
    crop.add_argument("--dry-run", action="store_true", help="choose crops, write no picture")
    crop.add_argument("--pad", action="store_true", help="pad instead where a crop loses too much")
    crop.add_argument("--min-kept", type=float, default=0.5, help="too much is to keep less (0.5)")
    crop.add_argument("--zoom", type=float, default=1.0, help="smaller windows by this factor")
    crop.add_argument(
        "--tolerance",
        type=float,
        default=TOLERANCE,
        help=f"attention to give up, to cut through fewer heads and words ({TOLERANCE})",
    )
    crop.add_argument("--method", choices=["mass", "point", "centre"], default="mass")


def _client(args: argparse.Namespace) -> Client:
    metadata = dict(entry.partition("=")[::2] for entry in args.metadata)
    encrypted = args.tls or args.ca or args.key or args.cert
    tls = TLS(args.ca, args.key, args.cert) if encrypted else None
    return Client(args.server, args.timeout, tls=tls, metadata=metadata, model=args.model)


def _map(text: str) -> str:
    if text not in ("saliency", "integrity"):
        said = f"{text!r} is neither saliency nor integrity; a photo goes before this option"
        raise argparse.ArgumentTypeError(said)
    return text


def _size(text: str) -> Size:
    width, x, height = text.partition("x")
    if not (x and width.isdecimal() and height.isdecimal() and int(width) and int(height)):
        raise argparse.ArgumentTypeError(f"not WIDTHxHEIGHT in pixels: {text!r}")
    return int(width), int(height)


@dataclass(frozen=True)
class Job:
    """What to do with every photo."""

    client: Client
    shapes: dict[str, Size | None]  # by name: "16:9", or "1200x675" with its pixels
    options: CropOptions
    args: argparse.Namespace
    sources: set[str]  # real paths, never to be overwritten

    def __call__(self, source: Source) -> str:
        """Predict, crop and write; the lines to print."""
        photo = source.read()
        saliency = self.client.predict(photo)
        crops = {
            name: saliency.crop(size or name, **self.options) for name, size in self.shapes.items()
        }
        written = [] if self.args.dry_run else self._write(source, photo, saliency, crops)
        if self.args.json:
            return json.dumps(_description(source, saliency, crops))
        return "\n".join(written)

    def _write(
        self, source: Source, photo: Photo, saliency: Saliency, crops: dict[str, Crop]
    ) -> list[str]:
        pictures: dict[str, Image.Image] = {}
        exif = copyright_of(photo) if self.args.keep_copyright else b""
        for name, crop in crops.items():
            cut = crop.pad if self.args.pad and crop.advice == "pad" else crop.apply
            pictures[_in_a_files_name(name)] = cut(photo, self.shapes[name])
        if self.args.out == STANDARD:
            (picture,) = pictures.values()
            write_out(encode(picture, exif=exif)[0])
            return []
        if self.args.overlay:
            pictures["overlay"] = overlay(photo, saliency, crops, self.args.overlay)
        out = Path(self.args.out) / source.name
        return [
            str(save(picture, out.with_name(f"{out.name}-{name}"), self.sources, exif))
            for name, picture in pictures.items()
        ]


def _crop(client: Client, args: argparse.Namespace) -> int:
    shapes = _shapes(args)
    found = find_photos(args.photos, None if args.out == STANDARD else Path(args.out))
    if args.out == STANDARD and (len(shapes), len(found.sources)) != (1, 1):
        raise InvalidArgument("standard output takes one crop of one photo")
    if args.out == STANDARD and (args.json or args.overlay):
        raise InvalidArgument("standard output takes the crop alone, no JSON and no overlay")
    options = CropOptions(
        zoom=args.zoom, tolerance=args.tolerance, min_kept=args.min_kept, method=args.method
    )
    job = Job(client, shapes, options, args, real_paths(found.sources))
    return _for_each(found, job, args.jobs, writes_files=not args.dry_run)


def _shapes(args: argparse.Namespace) -> dict[str, Size | None]:
    ratios = args.ratio or ([] if args.size else DEFAULT_RATIOS)
    for ratio in ratios:
        parse_ratio(ratio)
    shapes = {**dict.fromkeys(ratios), **{f"{w}x{h}": (w, h) for w, h in args.size}}
    files = {_in_a_files_name(name): name for name in shapes}
    for name in shapes:
        if (other := files[_in_a_files_name(name)]) != name:
            raise InvalidArgument(f"the files of {name} and {other} would share their names")
    return shapes


def _in_a_files_name(shape: str) -> str:
    return shape.replace(":", "x").replace("/", "x")


def _predict(client: Client, args: argparse.Namespace) -> int:
    def line(source: Source) -> str:
        saliency = client.predict(source.read())
        description = {**_description(source, saliency), "density": saliency.density.tolist()}
        if saliency.integrity is not None:
            description["integrity"] = saliency.integrity.tolist()
        return json.dumps(description)

    return _for_each(find_photos(args.photos), line, args.jobs)


def _for_each(
    found: Found, function: Callable[[Source], str], jobs: int, writes_files: bool = False
) -> int:
    """Print what the function says of each photo, in order; 1 if one failed."""
    failures = len(found.problems)
    with (
        Progress(len(found.sources)) as progress,
        contextlib.closing(in_order(function, found.sources, jobs)) as outcomes,
    ):
        for problem in found.problems:
            progress.error(problem)
        for source, outcome in zip(found.sources, outcomes, strict=True):
            if isinstance(outcome, ServerUnreachable):
                raise outcome
            if isinstance(outcome, GazecropError):
                failures += 1
                progress.error(f"{shown(source)}: {outcome}")
            elif lost := _lost(progress, outcome):
                failures += 1
                if not writes_files:
                    raise lost
                progress.error(str(lost))
            progress.advance(failures)
        if found.passed_over.total():
            progress.note(_summary(found.passed_over))
    return 1 if failures else 0


def _lost(progress: Progress, text: str) -> InvalidArgument | None:
    """Print, unless there is nothing to; the error if it cannot be."""
    try:
        if text:
            progress.output(text)
    except InvalidArgument as error:
        return error
    return None


def _summary(passed_over: Counter[str]) -> str:
    kinds = ", ".join(f"{count} {kind}" for kind, count in passed_over.most_common() if count)
    return f"passed over {passed_over.total()} that are no photos: {kinds}"


def _description(
    source: Source, saliency: Saliency, crops: dict[str, Crop] | None = None
) -> dict[str, Any]:
    description: dict[str, Any] = {
        "photo": str(source),
        "size": saliency.size,
        "salient_point": saliency.salient_point,
        "model": saliency.model,
    }
    if crops is not None:
        description["crops"] = {name: crop.to_dict() for name, crop in crops.items()}
    return description


def _ping(client: Client, args: argparse.Namespace) -> int:
    status = client.ping()
    state = "ready" if status.ready else f"running, but does not predict: {status.problem}"
    network = f", network {status.model}" if status.model else ""
    server, took = f"{status.server} {status.version}{network}", f"{1000 * status.seconds:.1f} ms"
    write_out(f"{client.address} is {state} ({server}, {took})\n")
    return 0 if status.ready else 1


if __name__ == "__main__":
    sys.exit(main())
