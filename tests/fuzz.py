"""Mutated photos through the server's decoders and the client's reader: all are answered.

    python -m tests.fuzz [--files 100000] [--client 20000] [--seed 0]

The seeds are generated: each format in its ways of keeping pixels. Each process has a limit on its
memory and on the time of a photo; it ends at the first photo that crashes it, takes longer than
`MAX_SECONDS` or more than `MAX_MEMORY`, or is refused by another error than the one that is meant,
and leaves that photo in the folder `fuzz`.
"""

import argparse
import io
import os
import random
import resource
import signal
import struct
import subprocess
import sys
import time
import zlib
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import gazecrop
import numpy as np
import pillow_heif
import skimage.data
from gazecrop._photo import decoded
from PIL import Image

from server.embedded import MODEL_REPOSITORY

CANVAS = 320
MAX_SECONDS = 2.0  # of the processor, for a photo
MAX_MEMORY = 256  # MB of a process, at its peak
HUNG_SECONDS = 60  # of the clock: then the process dies
FOLDER = Path("fuzz")
INTERESTING = (0, 1, 2, 0x7F, 0x80, 0xFF, 0x7FFF, 0xFFFF, 0x7FFFFFFF, 0xFFFFFFFF)
METADATA = {
    "JPEG": (b"\xff\xe0", b"\xff\xe1", b"\xff\xe2", b"\xff\xed", b"\xff\xee", b"\xff\xfe"),
    "PNG": (
        b"eXIf",
        b"iCCP",
        b"tEXt",
        b"zTXt",
        b"iTXt",
        b"pHYs",
        b"gAMA",
        b"cHRM",
        b"acTL",
        b"tRNS",
    ),
}


def seeds() -> list[bytes]:
    """A small photo in each format and way of keeping its pixels."""
    pillow_heif.register_heif_opener()
    image = Image.fromarray(skimage.data.coffee()).resize((96, 64))
    alpha = image.copy()
    alpha.putalpha(Image.linear_gradient("L").resize(image.size))
    wide = Image.fromarray(np.asarray(image.convert("L")).astype(np.uint16) * 257)
    exif = Image.Exif()
    exif[0x0112], exif[0x010F] = 6, "a camera"
    forms: list[tuple[Image.Image, str, dict[str, object]]] = [
        (image, "JPEG", {"exif": exif, "comment": b"by whom"}),
        (image, "JPEG", {"progressive": True, "icc_profile": bytes(36) + b"acsp" + bytes(100)}),
        (image, "JPEG", {"subsampling": 0, "restart_marker_rows": 1}),
        (image.convert("L"), "JPEG", {}),
        (image.convert("CMYK"), "JPEG", {}),
        (image, "PNG", {"exif": exif}),
        (alpha, "PNG", {}),
        (image.quantize(64), "PNG", {"transparency": 3}),
        (wide, "PNG", {}),
        (image.convert("1"), "PNG", {}),
        (image, "WEBP", {"exif": exif.tobytes()}),
        (alpha, "WEBP", {}),
        (alpha, "WEBP", {"lossless": True}),
        (image, "WEBP", {"save_all": True, "append_images": [alpha]}),
        (image, "GIF", {"save_all": True, "append_images": [image.rotate(90)]}),
        (alpha, "GIF", {}),
        (image, "BMP", {}),
        (image.quantize(16), "BMP", {}),
        (image, "TIFF", {"exif": exif}),
        (alpha, "TIFF", {"compression": "tiff_lzw"}),
        (image, "TIFF", {"compression": "jpeg"}),
        (image.convert("1"), "TIFF", {"compression": "group4"}),
        (wide, "TIFF", {"compression": "tiff_adobe_deflate"}),
        (image.convert("F"), "TIFF", {}),
        (image.convert("CMYK"), "TIFF", {}),
        (image, "AVIF", {"exif": exif}),
        (alpha, "AVIF", {}),
        (image, "HEIF", {"exif": exif}),
    ]
    files = []
    for picture, format, options in forms:
        file = io.BytesIO()
        picture.save(file, format, **options)
        files.append(file.getvalue())
    return files


def mutated(data: bytes, others: list[bytes], chance: random.Random) -> bytes:
    """One to eight damages, more often in the header."""
    file = bytearray(data)
    for _ in range(chance.choice((1, 1, 2, 3, 8))):
        reach = len(file) if chance.random() < 0.5 else min(len(file), 300)
        at = chance.randrange(reach) if reach else 0
        length = min(chance.choice((1, 2, 4, 16, 100)), len(file) - at)
        match chance.randrange(8):
            case 0:
                file[at : at + 1] = bytes([chance.randrange(256)])
            case 1:
                width = chance.choice((1, 2, 4))
                number = chance.choice(INTERESTING) & (256**width - 1)
                file[at : at + width] = number.to_bytes(width, chance.choice(("big", "little")))
            case 2:
                del file[at : at + length]
            case 3:
                file[at:at] = chance.randbytes(length)
            case 4:
                file[at:at] = file[at : at + length] * chance.choice((1, 2, 50))
            case 5:
                del file[at:]
            case 6:
                other = chance.choice(others)
                start = chance.randrange(len(other))
                file[at : at + length] = other[start : start + length]
            case 7:
                file[at : at + length] = bytes(length)
    return bytes(file)


def with_metadata(data: bytes, chance: random.Random) -> bytes:
    """A JPEG or PNG with a malformed segment or chunk more."""
    content = chance.randbytes(chance.choice((0, 1, 2, 4, 8, 9, 33, 200)))
    start = chance.choice(
        (b"", b"Exif\0\0II*\0\x08\0\0\0", b"Exif\0\0MM\0*\0\0\0\x08", b"ICC_PROFILE\0\1\1")
    )
    if data.startswith(b"\xff\xd8"):
        content = start + content
        marker = chance.choice(METADATA["JPEG"])
        return data[:2] + marker + struct.pack(">H", len(content) + 2) + content + data[2:]
    if data.startswith(b"\x89PNG"):
        kind = chance.choice(METADATA["PNG"])
        content = chance.choice((b"", b"name\0\0", b"II*\0\x08\0\0\0")) + content
        check = zlib.crc32(kind + content) if chance.random() < 0.8 else 0
        chunk = struct.pack(">I", len(content)) + kind + content + struct.pack(">I", check)
        return data[:33] + chunk + data[33:]
    return data


def through_server() -> tuple[Callable[[bytes], object], type[Exception]]:
    sys.path.append(str(MODEL_REPOSITORY / "preprocess" / "1"))
    import cv2
    import photo

    cv2.setNumThreads(1)
    return lambda data: photo.load(data, CANVAS), photo.Unusable


def through_client() -> tuple[Callable[[bytes], object], type[Exception]]:
    return decoded, gazecrop.GazecropError


def worker(target: str, number: int, seed: int) -> None:
    """Fuzz in this process, and say what came of it."""
    read, meant = through_server() if target == "files" else through_client()
    chance, originals = random.Random(seed), seeds()
    answers: Counter[str] = Counter()
    slowest, memory = 0.0, 0
    photo = FOLDER / f"{target}-{seed}"
    for index in range(number):
        data = chance.choice(originals)
        if target == "client" or chance.random() < 0.2:
            data = with_metadata(data, chance)
        if target == "files" or chance.random() < 0.5:
            data = mutated(data, originals, chance)
        photo.write_bytes(data)  # what a crash leaves
        signal.alarm(HUNG_SECONDS)
        started = time.process_time()
        try:
            read(data)
            answers["accepted"] += 1
        except meant:
            answers["refused"] += 1
        seconds = time.process_time() - started
        slowest = max(slowest, seconds)
        memory = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss >> 10
        if seconds > MAX_SECONDS or (target == "files" and memory > MAX_MEMORY):
            sys.exit(f"{photo}, number {index}: {seconds:.1f} s, {memory} MB")
    photo.unlink(missing_ok=True)
    print(f"{target}: {dict(answers)}, slowest {slowest:.2f} s, peak {memory} MB", flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    parser.add_argument("--files", type=int, default=100_000, help="through the server's decoders")
    parser.add_argument("--client", type=int, default=20_000, help="through the client's reader")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--worker", choices=("files", "client"), help=argparse.SUPPRESS)
    args = parser.parse_args()
    if args.worker:
        worker(args.worker, getattr(args, args.worker), args.seed)
        return 0
    # As the server's decoders keep memory: what a large photo took goes back at once.
    environment = {
        **os.environ,
        "MALLOC_MMAP_THRESHOLD_": str(2**20),
        "MALLOC_TRIM_THRESHOLD_": str(2**24),
    }
    cores = len(os.sched_getaffinity(0))
    command = [sys.executable, "-W", "ignore", "-m", "tests.fuzz"]
    failed = 0
    for target in ("files", "client"):
        FOLDER.mkdir(exist_ok=True)
        each = -(-getattr(args, target) // cores)
        running = [
            subprocess.Popen(  # libtiff prints what it thinks of every file
                [
                    *command,
                    "--worker",
                    target,
                    f"--{target}",
                    str(each),
                    "--seed",
                    str(args.seed + core),
                ],
                env=environment,
            )
            for core in range(cores)
        ]
        failed += sum(process.wait() != 0 for process in running)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main())
