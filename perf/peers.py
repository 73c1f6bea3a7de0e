"""The same job for gazecrop and for what one would take instead, in one run on one machine.

    python -m perf.peers [--twitter FILE.onnx]

The job: the bytes of a JPEG in, the largest square crop's rectangle out. Every tool runs on one
thread and decodes at the smallest scale that is enough for it:

    gazecrop             preprocess, network and window in process, without a server
    Twitter's tool       Twitter's network of 2018 in onnxruntime, and its steps, if --twitter names
                         an ONNX file of it: input `rgb` of float32 [1, 3, h, w] in 0–255, one
                         score for each 16×16 pixels
    smartcrop.py         looking at 480 pixels or more, as when its quality was measured
    smartcrop.py, small  looking at 100 pixels, the size in its README
    libvips attention    `vipsthumbnail --smartcrop attention`, to its default of 128 pixels
    OpenCV saliency      where OpenCV's spectral residual of an eighth of the size is most
    OpenCV face          thumbor's detector: a Haar cascade, at 640 pixels or more; else the middle
"""

import argparse
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from io import BytesIO
from pathlib import Path

import cv2
import cv2.data
import numpy as np
from gazecrop import Rect, Saliency
from PIL import Image

from perf.inprocess import InProcess
from perf.markdown import table
from perf.photos import jpeg
from perf.timing import Job, cores, medians, throughput

MEGAPIXELS = (0.3, 2)
SECONDS = 12.0  # for all on one thread, taking turns
CORE_SECONDS = 3.0  # for each on all cores

GAZECROP, SERVED, TWITTER = "gazecrop", "gazecrop, served", "Twitter's tool"
SMARTCROP, SMALL = "smartcrop.py", "smartcrop.py, small"
ATTENTION, SPECTRAL, FACE = "libvips attention", "OpenCV saliency", "OpenCV face"
TWITTER_SIDE, TWITTER_CELL = 320, 16
VIPS_SIDE = 128
FACE_SIDE = 640
PACKAGES = "pip install 'gazecrop[perf]'"

Cropper = Callable[[bytes], Rect]


@dataclass(frozen=True)
class Speed:
    """Of one tool, for photos of one size.

    Attributes:
        milliseconds: for a photo, on one thread.
        rate: photos a second, with one process of one thread for each core.
    """

    milliseconds: float
    rate: float


def names(twitter: Path | None) -> list[str]:
    twitters = [TWITTER] if twitter else []
    return [GAZECROP, *twitters, SMARTCROP, SMALL, ATTENTION, SPECTRAL, FACE]


def open_cropper(name: str, twitter: Path | None = None) -> Cropper:
    """The tool of this name, ready to crop on one thread.

    Raises:
        ImportError: its package is missing; the message says how to install it.
    """
    cv2.setNumThreads(1)
    openers: dict[str, Callable[[], Cropper]] = {
        GAZECROP: _gazecrop,
        TWITTER: partial(_twitter, twitter),
        SMARTCROP: partial(_smartcrop, looks_at=480, prescale=False),
        SMALL: partial(_smartcrop, looks_at=100, prescale=True),
        ATTENTION: _libvips,
        SPECTRAL: _spectral,
        FACE: _face,
    }
    return openers[name]()


def _gazecrop() -> Cropper:
    steps = InProcess()
    return lambda upload: Saliency(*steps.predict(upload)).crop("1:1").rect


def _twitter(file: Path | None) -> Cropper:
    """Fit into 320×320, score each cell, centre the window on the first that scores highest."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def crop(upload: bytes) -> Rect:
        image = Image.open(BytesIO(upload))
        width, height = image.size
        scale = TWITTER_SIDE / max(width, height)
        fitted = round(width * scale), round(height * scale)
        image.draft("RGB", fitted)
        pixels = np.asarray(image.resize(fitted, Image.Resampling.LANCZOS), np.float32)
        scores = session.run(None, {"rgb": pixels.transpose(2, 0, 1)[None]})[0][0, 0]
        row, column = np.unravel_index(scores.argmax(), scores.shape)
        x, y = ((cell + 0.5) * TWITTER_CELL / scale for cell in (float(column), float(row)))
        return _square((x, y), (width, height))

    return crop


def _smartcrop(looks_at: int, prescale: bool) -> Cropper:
    try:
        from smartcrop import SmartCrop
    except ImportError as error:
        raise ImportError(f"{SMARTCROP} needs the package smartcrop: {PACKAGES}") from error

    def crop(upload: bytes) -> Rect:
        image = Image.open(BytesIO(upload))
        size = image.size
        image.draft("RGB", (looks_at, looks_at))
        side = looks_at if prescale else min(image.size)
        # Left alone it zooms in by up to a tenth.
        best = SmartCrop().crop(image, side, side, min_scale=1)["top_crop"]
        scale = size[0] / image.width
        centre = (best["x"] + best["width"] / 2) * scale, (best["y"] + best["height"] / 2) * scale
        return _square(centre, size)

    return crop


def _libvips() -> Cropper:
    os.environ["VIPS_CONCURRENCY"] = "1"  # read when the library starts
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: pyvips is there, libvips is not
        raise ImportError(f"libvips needs pyvips and pyvips-binary: {PACKAGES}") from error
    pyvips.cache_set_max(0)  # else the second run would be free

    def crop(upload: bytes) -> Rect:
        header = pyvips.Image.new_from_buffer(upload, "")
        size = header.width, header.height
        scale = VIPS_SIDE / min(size)
        width, height = (round(side * scale) for side in size)
        image = pyvips.Image.thumbnail_buffer(upload, width, height=height, size="force")
        # In memory, as vipsthumbnail does it: the search reads the picture more than once.
        cut = image.copy_memory().smartcrop(VIPS_SIDE, VIPS_SIDE, interesting="attention")
        # An offset is where the photo's origin lies, seen from the crop's.
        centre = (VIPS_SIDE / 2 - cut.xoffset) / scale, (VIPS_SIDE / 2 - cut.yoffset) / scale
        return _square(centre, size)

    return crop


def _spectral() -> Cropper:
    """The square that holds most of the map, which OpenCV computes at 64×64 pixels."""
    saliency = cv2.saliency.StaticSaliencySpectralResidual.create()

    def crop(upload: bytes) -> Rect:
        size = Image.open(BytesIO(upload)).size
        small = cv2.imdecode(np.frombuffer(upload, np.uint8), cv2.IMREAD_REDUCED_COLOR_8)
        _, residual = saliency.computeSaliency(small)
        side, scale = min(residual.shape), min(size) / min(residual.shape)
        across = residual.shape[1] > residual.shape[0]
        mass = np.concatenate([[0.0], np.cumsum(residual.sum(axis=0 if across else 1))])
        middle = (int((mass[side:] - mass[:-side]).argmax()) + side / 2) * scale
        return _square((middle, middle), size)

    return crop


def _face() -> Cropper:
    """Centre the window on the largest face; detector and settings are thumbor's defaults."""
    cascade = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt.xml"
    detector = cv2.CascadeClassifier(str(cascade))
    scales = {
        2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
        4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
        8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    }

    def crop(upload: bytes) -> Rect:
        size = Image.open(BytesIO(upload)).size
        scale = max((s for s in scales if max(size) // s >= FACE_SIDE), default=1)
        mode = scales.get(scale, cv2.IMREAD_GRAYSCALE)
        grey = cv2.imdecode(np.frombuffer(upload, np.uint8), mode)
        smallest = max(20, min(grey.shape) // 15)
        faces = detector.detectMultiScale(grey, 1.2, 4, minSize=(smallest, smallest))
        if len(faces) == 0:
            return _square((size[0] / 2, size[1] / 2), size)
        left, top, width, height = max(faces, key=lambda face: face[2] * face[3])
        return _square(((left + width / 2) * scale, (top + height / 2) * scale), size)

    return crop


def _square(centre: tuple[float, float], size: tuple[int, int]) -> Rect:
    """The largest square around a point (x, y), moved into the photo."""
    side = min(size)
    left, top = (
        min(max(round(middle - side / 2), 0), length - side)
        for middle, length in zip(centre, size, strict=True)
    )
    return Rect(left, top, side, side)


def measure(
    megapixels: float,
    twitter: Path | None = None,
    seconds: float = SECONDS,
    core_seconds: float = CORE_SECONDS,
) -> Iterator[tuple[str, Speed]]:
    """The tools' names and their speeds on photos of a size, each as it is done."""
    jobs = {name: _crops(name, megapixels, twitter) for name in names(twitter)}
    for name, milliseconds in medians(jobs, seconds).items():
        rate = throughput(partial(_crops, name, megapixels, twitter), core_seconds)
        yield name, Speed(milliseconds, rate)


def _crops(name: str, megapixels: float, twitter: Path | None) -> Job:
    return partial(open_cropper(name, twitter), jpeg(megapixels))


def markdown(speeds: dict[str, Speed]) -> str:
    ours = speeds[GAZECROP]
    columns = ("tool", "ms", "times gazecrop's", "photos/s", "gazecrop's, times as many")
    return table(
        columns,
        [
            (
                name,
                speed.milliseconds,
                speed.milliseconds / ours.milliseconds,
                speed.rate,
                ours.rate / speed.rate,
            )
            for name, speed in speeds.items()
        ],
    )


def main() -> None:
    parser = argparse.ArgumentParser(description="gazecrop and its peers, side by side")
    parser.add_argument("--twitter", type=Path, help="Twitter's network of 2018 as ONNX")
    args = parser.parse_args()
    for megapixels in MEGAPIXELS:
        print(f"{megapixels} MP, one thread each; photos/s with one on each of {cores()} cores\n")
        print(markdown(dict(measure(megapixels, args.twitter))))


if __name__ == "__main__":
    main()
