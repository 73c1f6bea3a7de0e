"""The command line: `gazecrop crop`, `gazecrop predict`, `gazecrop ping`."""

import argparse
import json
import sys
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from PIL import Image

from gazecrop import Client, Crop, GazecropError, InvalidArgument, Saliency, overlay
from gazecrop._crop import parse_ratio
from gazecrop._errors import ServerUnreachable

DEFAULT_RATIOS = ["16:9", "1:1", "4:5"]


def main(arguments: list[str] | None = None) -> int:
    """Run a command; the exit status is 0, or 1 if anything failed."""
    args = _parser().parse_args(arguments)
    try:
        with Client(args.server, args.timeout) as client:
            status: int = args.run(client, args)
            return status
    except GazecropError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="gazecrop", description="crop where people will look")
    connection = argparse.ArgumentParser(add_help=False)
    connection.add_argument("--server", default="localhost:8001", help="Triton's gRPC address")
    connection.add_argument("--timeout", type=float, default=5.0, help="seconds for each call")
    commands = parser.add_subparsers(required=True, metavar="COMMAND")

    crop = commands.add_parser("crop", parents=[connection], help="write crops of photos")
    crop.set_defaults(run=_crop)
    crop.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")
    crop.add_argument("--ratio", action="append", metavar="W:H", help="repeat for more than one")
    crop.add_argument("--out", type=Path, default=Path("crops"), metavar="DIR")
    crop.add_argument("--overlay", action="store_true", help="also draw heat map and frames")
    crop.add_argument("--json", action="store_true", help="print a line of JSON for each photo")

    predict = commands.add_parser("predict", parents=[connection], help="print saliency as JSON")
    predict.set_defaults(run=_predict)
    predict.add_argument("photos", nargs="+", type=Path, metavar="PHOTO")

    ping = commands.add_parser("ping", parents=[connection], help="is the server ready?")
    ping.set_defaults(run=_ping)
    return parser


def _crop(client: Client, args: argparse.Namespace) -> int:
    ratios = args.ratio or DEFAULT_RATIOS
    for ratio in ratios:
        parse_ratio(ratio)
    _check_names(args.photos)
    args.out.mkdir(parents=True, exist_ok=True)
    failures = 0
    for path in args.photos:
        try:
            saliency = client.predict(path)
            crops = {ratio: saliency.crop(ratio) for ratio in ratios}
            written = _write(path, saliency, crops, args.out, args.overlay)
        except ServerUnreachable:
            raise
        except GazecropError as error:
            failures += 1
            print(f"error: {path}: {error}", file=sys.stderr)
            continue
        if args.json:
            print(json.dumps(_description(path, saliency, crops)), flush=True)
        else:
            for file in written:
                print(file, flush=True)
    return 1 if failures else 0


def _check_names(photos: list[Path]) -> None:
    """Crops are named after their photos, so two photos of one name would get lost."""
    seen: dict[str, Path] = {}
    for path in photos:
        if seen.setdefault(path.stem, path) != path:
            raise InvalidArgument(f"{seen[path.stem]} and {path} would share the crops' names")


def _write(
    path: Path, saliency: Saliency, crops: dict[str, Crop], out: Path, with_overlay: bool
) -> list[Path]:
    pictures = {ratio.replace(":", "x"): crop.apply(path) for ratio, crop in crops.items()}
    if with_overlay:
        pictures["overlay"] = overlay(path, saliency, crops)
    written = []
    for name, picture in pictures.items():
        suffix = ".png" if picture.has_transparency_data else ".jpg"
        target = out / f"{path.stem}-{name}{suffix}"
        if target.resolve() == path.resolve():
            raise InvalidArgument(f"{target} is the photo itself; choose another folder with --out")
        _save(picture, target)
        written.append(target)
    return written


def _save(picture: Image.Image, target: Path) -> None:
    if target.suffix == ".jpg":
        icc_profile = picture.info.get("icc_profile") if picture.mode == "RGB" else None
        picture.convert("RGB").save(target, quality=92, icc_profile=icc_profile)
    else:
        picture.save(target)


def _predict(client: Client, args: argparse.Namespace) -> int:
    for path in args.photos:
        saliency = client.predict(path)
        print(json.dumps({**_description(path, saliency), "density": saliency.density.tolist()}))
    return 0


def _description(
    path: Path, saliency: Saliency, crops: dict[str, Crop] | None = None
) -> dict[str, Any]:
    description: dict[str, Any] = {
        "photo": str(path),
        "size": saliency.size,
        "salient_point": saliency.salient_point,
    }
    if crops is not None:
        description["crops"] = {
            ratio: {**asdict(crop.rect), "kept": round(crop.kept, 4)}
            for ratio, crop in crops.items()
        }
    return description


def _ping(client: Client, args: argparse.Namespace) -> int:
    started = time.perf_counter()
    ready = client.is_ready()
    milliseconds = (time.perf_counter() - started) * 1000
    state = "ready" if ready else "running, but saliency is not loaded"
    print(f"{client.address} is {state} ({milliseconds:.1f} ms)")
    return 0 if ready else 1


if __name__ == "__main__":
    sys.exit(main())
