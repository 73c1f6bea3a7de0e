"""gazecrop and what one would take instead, each as one function with one setting.

A cropper gets the bytes of an upload and a ratio, and gives the largest window of that ratio in
the photo. Speed (`perf.measurements.speed`) and quality (`perf.measurements.quality`) are figures
of the same calls. Every tool runs on one thread and decodes at the smallest scale that is enough
for it:

    gazecrop                preprocessing, network and window as served, without a server
    Twitter's tool          Twitter's network of 2018 in onnxruntime, around whose densest cell
                            the window lies; only where an ONNX file of it is given: input `rgb`
                            of float32 [1, 3, h, w] in 0–255, one score for each 16×16 pixels
    smartcrop.py            PyPI's smartcrop (edges, skin, saturation) on 480 pixels or more
    smartcrop.py at 100 px  the same on 100 pixels, the size in its README
    libvips attention       `vipsthumbnail --smartcrop attention`, to its default of 128 pixels;
                            sharp offers it too
    libvips entropy         the same, by the entropy of what is cut away
    OpenCV saliency         where most of the spectral residual (Hou and Zhang, 2007) of an eighth
                            of the size is
    largest face            around the largest face that OpenCV's Haar cascade finds on 640 pixels
                            or more, as Twitter did it before 2018; without a face in the middle.
                            Detector and settings are thumbor's defaults

Photos are upright: tools other than gazecrop do not ask for the EXIF orientation.
"""

import os
from collections.abc import Callable
from functools import partial
from io import BytesIO
from pathlib import Path
from typing import TypeAlias

import cv2
import cv2.data
import numpy as np
from gazecrop import Rect, Saliency
from numpy.typing import NDArray
from PIL import Image

from perf.instruments.served import InProcess

GAZECROP, TWITTER = "gazecrop", "Twitter's tool"
SMARTCROP, SMALL = "smartcrop.py", "smartcrop.py at 100 px"
ATTENTION, ENTROPY = "libvips attention", "libvips entropy"
SPECTRAL, FACE = "OpenCV saliency", "largest face"
TWITTER_SIDE, TWITTER_CELL = 320, 16
SMARTCROP_SIDE, SMALL_SIDE = 480, 100
VIPS_SIDE = 128
FACE_SIDE = 640
PACKAGES = "pip install --editable '.[perf]'"

Size: TypeAlias = tuple[int, int]  # width, height
Cropper: TypeAlias = Callable[[bytes, float], Rect]  # upload, width over height


def names(twitter: Path | None = None) -> list[str]:
    """The croppers that can be opened."""
    twitters = [TWITTER] if twitter else []
    return [GAZECROP, *twitters, SMARTCROP, SMALL, ATTENTION, ENTROPY, SPECTRAL, FACE]


def open_cropper(name: str, twitter: Path | None = None) -> Cropper:
    """The tool of this name, ready to crop on one thread.

    Args:
        name: one of `names`.
        twitter: Twitter's network as ONNX.

    Raises:
        ImportError: its package is missing; the message says how to install it.
    """
    cv2.setNumThreads(1)
    openers: dict[str, Callable[[], Cropper]] = {
        GAZECROP: _gazecrop,
        TWITTER: partial(_twitter, twitter),
        SMARTCROP: partial(_smartcrop, SMARTCROP_SIDE, prescale=False),
        SMALL: partial(_smartcrop, SMALL_SIDE, prescale=True),
        ATTENTION: partial(_libvips, "attention"),
        ENTROPY: partial(_libvips, "entropy"),
        SPECTRAL: _spectral,
        FACE: _face,
    }
    return openers[name]()


def size_of(upload: bytes) -> Size:
    """From the head of the file."""
    with Image.open(BytesIO(upload)) as image:
        return image.size


def _gazecrop() -> Cropper:
    steps = InProcess()
    return lambda upload, ratio: Saliency(*steps.predict(upload)).crop(ratio).rect


def _twitter(file: Path | None) -> Cropper:
    """Fit into 320×320, score each cell, centre the window on the first that scores highest."""
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    session = onnxruntime.InferenceSession(file, options, providers=["CPUExecutionProvider"])

    def crop(upload: bytes, ratio: float) -> Rect:
        image = Image.open(BytesIO(upload))
        width, height = image.size
        scale = TWITTER_SIDE / max(width, height)
        fitted = round(width * scale), round(height * scale)
        image.draft("RGB", fitted)
        resized = image.convert("RGB").resize(fitted, Image.Resampling.LANCZOS)
        pixels = np.asarray(resized, np.float32)
        scores = session.run(None, {"rgb": pixels.transpose(2, 0, 1)[None]})[0][0, 0]
        row, column = np.unravel_index(scores.argmax(), scores.shape)
        x, y = ((cell + 0.5) * TWITTER_CELL / scale for cell in (float(column), float(row)))
        return _around((x, y), (width, height), ratio)

    return crop


def _smartcrop(side: int, prescale: bool) -> Cropper:
    try:
        from smartcrop import SmartCrop
    except ImportError as error:
        raise ImportError(f"{SMARTCROP} needs the package smartcrop: {PACKAGES}") from error

    def crop(upload: bytes, ratio: float) -> Rect:
        image = Image.open(BytesIO(upload))
        size = image.size
        image.draft("RGB", (side, side))
        looked_at = (side, side) if prescale else image.size
        # Left alone it zooms in by up to a tenth.
        best = SmartCrop().crop(image, *_largest(looked_at, ratio), min_scale=1)["top_crop"]
        across, down = size[0] / image.width, size[1] / image.height
        x, y = best["x"] + best["width"] / 2, best["y"] + best["height"] / 2
        return _around((x * across, y * down), size, ratio)

    return crop


def _libvips(interesting: str) -> Cropper:
    os.environ["VIPS_CONCURRENCY"] = "1"  # read when the library starts
    try:
        import pyvips
    except (ImportError, OSError) as error:  # OSError: pyvips is there, libvips is not
        raise ImportError(f"libvips needs pyvips and pyvips-binary: {PACKAGES}") from error
    pyvips.cache_set_max(0)  # else the second run would be free

    def crop(upload: bytes, ratio: float) -> Rect:
        header = pyvips.Image.new_from_buffer(upload, "")
        size = header.width, header.height
        width, height = _largest((VIPS_SIDE, VIPS_SIDE), ratio)
        scale = max(width / size[0], height / size[1])
        fitted = max(width, round(size[0] * scale)), max(height, round(size[1] * scale))
        image = pyvips.Image.thumbnail_buffer(upload, fitted[0], height=fitted[1], size="force")
        # In memory, as vipsthumbnail does it: the search reads the picture more than once.
        cut = image.copy_memory().smartcrop(width, height, interesting=interesting)
        # An offset is where the photo's origin lies, seen from the crop's.
        centre = (width / 2 - cut.xoffset) / scale, (height / 2 - cut.yoffset) / scale
        return _around(centre, size, ratio)

    return crop


def _spectral() -> Cropper:
    """The window that holds most of the map, which OpenCV computes at 64×64 pixels."""
    saliency = cv2.saliency.StaticSaliencySpectralResidual.create()

    def crop(upload: bytes, ratio: float) -> Rect:
        size = size_of(upload)
        small = cv2.imdecode(np.frombuffer(upload, np.uint8), cv2.IMREAD_REDUCED_COLOR_8)
        _, residual = saliency.computeSaliency(small)
        height, width = residual.shape
        across, down = _largest((width, height), ratio)
        x = (_heaviest(residual.sum(axis=0), across) + across / 2) * size[0] / width
        y = (_heaviest(residual.sum(axis=1), down) + down / 2) * size[1] / height
        return _around((x, y), size, ratio)

    return crop


def _face() -> Cropper:
    cascade = Path(cv2.data.haarcascades) / "haarcascade_frontalface_alt.xml"
    detector = cv2.CascadeClassifier(str(cascade))
    scales = {
        2: cv2.IMREAD_REDUCED_GRAYSCALE_2,
        4: cv2.IMREAD_REDUCED_GRAYSCALE_4,
        8: cv2.IMREAD_REDUCED_GRAYSCALE_8,
    }

    def crop(upload: bytes, ratio: float) -> Rect:
        size = size_of(upload)
        scale = max((s for s in scales if max(size) // s >= FACE_SIDE), default=1)
        mode = scales.get(scale, cv2.IMREAD_GRAYSCALE)
        grey = cv2.imdecode(np.frombuffer(upload, np.uint8), mode)
        smallest = max(20, min(grey.shape) // 15)
        faces = detector.detectMultiScale(grey, 1.2, 4, minSize=(smallest, smallest))
        if len(faces) == 0:
            return _around((size[0] / 2, size[1] / 2), size, ratio)
        left, top, width, height = max(faces, key=lambda face: face[2] * face[3])
        return _around(((left + width / 2) * scale, (top + height / 2) * scale), size, ratio)

    return crop


# As the client places windows, without what its general rule costs: a peer pays for its own work.


def _largest(size: Size, ratio: float) -> Size:
    """The largest (width, height) of a ratio inside a size."""
    width, height = size
    if width > height * ratio:
        return max(1, round(height * ratio)), height
    return width, min(height, max(1, round(width / ratio)))


def _around(centre: tuple[float, float], size: Size, ratio: float) -> Rect:
    """The largest window of a ratio around a point (x, y), moved into the photo."""
    lengths = _largest(size, ratio)
    left, top = (
        min(max(round(middle - length / 2), 0), side - length)
        for middle, length, side in zip(centre, lengths, size, strict=True)
    )
    return Rect(left, top, *lengths)


def _heaviest(weights: NDArray[np.float32], length: int) -> int:
    """Where along a side so many cells weigh the most."""
    until = np.concatenate([[0.0], np.cumsum(weights)])
    return int((until[length:] - until[:-length]).argmax())
