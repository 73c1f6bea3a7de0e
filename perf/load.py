"""Load-test a running ensemble with Triton's perf_analyzer over gRPC.

    python -m perf.load [--server HOST:PORT]

Prints throughput and latency at several concurrencies, for real JPEGs made from the sample
photo in docs/.
"""

import argparse
import base64
import csv
import io
import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytriton
from PIL import Image

ROOT = Path(__file__).parents[1]
PHOTO = ROOT / "docs" / "photo.jpg"
MEGAPIXELS = (0.5, 2)
CONCURRENCIES = (1, 2, 4, 8)

# perf_analyzer on PyPI is an empty placeholder; the binary is in tritonclient's wheels up to
# 2.60, and from 2.59 on it needs a newer glibc than Debian 12 has.
TRITONCLIENT = "tritonclient==2.51.0"
HOME = Path(sys.prefix) / "perf_analyzer"


def perf_analyzer() -> Path:
    """The perf_analyzer binary, installed once, in a folder of its own."""
    binary = HOME / "bin" / "perf_analyzer"
    if not binary.exists():
        pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
        subprocess.run([*pip, "--no-deps", "--target", str(HOME), TRITONCLIENT], check=True)
        bundled = Path(pytriton.__file__).parents[1] / "nvidia_pytriton.libs"
        (HOME / "lib").mkdir(exist_ok=True)
        for name, pattern in (("libb64.so.0d", "libb64-*"), ("libcudart.so.12", "libcudart-*")):
            (HOME / "lib" / name).symlink_to(next(bundled.glob(pattern)))
    return binary


def jpeg(megapixels: float) -> bytes:
    with Image.open(PHOTO) as photo:
        scale = (megapixels * 1e6 / (photo.width * photo.height)) ** 0.5
        size = round(photo.width * scale), round(photo.height * scale)
        file = io.BytesIO()
        photo.resize(size, Image.Resampling.BICUBIC).save(file, "JPEG", quality=90)
    return file.getvalue()


def measure(server: str, upload: bytes, concurrency: int) -> dict[str, str]:
    """perf_analyzer's row of figures for one upload sent over and over."""
    content = base64.b64encode(len(upload).to_bytes(4, "little") + upload).decode()
    with tempfile.TemporaryDirectory() as folder:
        data, table = Path(folder) / "input.json", Path(folder) / "table.csv"
        data.write_text(json.dumps({"data": [{"IMAGE": {"b64": content, "shape": [1]}}]}))
        command = [str(perf_analyzer()), "-m", "saliency", "-i", "grpc", "-u", server]
        command += ["--input-data", str(data), "--concurrency-range", str(concurrency)]
        command += ["-p", "3000", "-r", "3", "-s", "999", "-f", str(table)]
        environment = {**os.environ, "LD_LIBRARY_PATH": str(HOME / "lib")}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        if done.returncode:
            raise SystemExit(f"error: perf_analyzer failed:\n{done.stdout}{done.stderr}")
        with table.open(newline="") as lines:
            return next(csv.DictReader(lines))


def main() -> None:
    parser = argparse.ArgumentParser(description="throughput and latency of the ensemble")
    parser.add_argument("--server", default="localhost:8001", help="Triton's gRPC address")
    args = parser.parse_args()
    print("| photo | concurrency | photos/s | p50 ms | p95 ms | p99 ms |")
    print("|---|---|---|---|---|---|")
    for megapixels in MEGAPIXELS:
        upload = jpeg(megapixels)
        for concurrency in CONCURRENCIES:
            row = measure(args.server, upload, concurrency)
            cells = [f"{megapixels} MP", str(concurrency), f"{float(row['Inferences/Second']):.0f}"]
            cells += [f"{float(row[f'p{share} latency']) / 1000:.1f}" for share in (50, 95, 99)]
            print("|", " | ".join(cells), "|", flush=True)


if __name__ == "__main__":
    main()
