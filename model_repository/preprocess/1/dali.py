"""Large JPEGs, many at a time, by NVIDIA's DALI: on a GPU, so that it need not wait for the CPU.

DALI has no reduced decoding. It decodes all pixels, and shrinks them to what `jpeg` would have
decoded before it shrinks those as `photo` does: so both show the network the same photo. They
would not at scales above a quarter, where libjpeg's reduced pixels are unlike any resampling; but
such small photos are little work. What DALI does not take, or fails on, is left to `photo`, and so
are all refusals.
"""

import math
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple

import jpeg
import numpy as np
from numpy.typing import NDArray
from nvidia.dali import fn, pipeline_def, types
from photo import Photo, Unusable, Upload, read

MAX_PIXELS = 25_000_000  # of a photo; larger ones cost the GPU's memory, and the CPU an eighth
BATCH_PIXELS = 100_000_000  # of the photos in the GPU's memory at a time, three bytes each
EIGHTH, MOST_EIGHTHS = 8, 2  # of the scale at which `jpeg` would decode
# What nvJPEG decodes, and to the same colours as libjpeg
CODINGS = (0xC0, 0xC1, 0xC2)  # of Huffman, in sequence or progressive
SAMPLINGS = ((1, 1), (2, 1), (1, 2), (2, 2), (4, 1))  # of brightness, one of each colour
BITS = 8  # of a sample
ADOBE, YCBCR = 0xEE, b"\1"  # the twelfth byte of that segment names the colours
END_OF_IMAGE = b"\xff\xd9"
LAST = 12  # `photo` refuses what lost more than a tenth of its rows


class Job(NamedTuple):
    """A JPEG for DALI."""

    place: int  # among the uploads
    data: bytes
    upload: Upload
    reduced: tuple[int, int]  # height and width in between
    covered: tuple[float, float]  # pixels that those stand for, of which the last may lie outside


class Decoder:
    """Decodes batches of uploads.

    Args:
        batch: the most uploads at a time.
        gpu: its number, or None for DALI's operators on the CPU, which need no GPU.
    """

    def __init__(self, batch: int, gpu: int | None) -> None:
        self.batch, self.gpu = batch, gpu
        self.pipeline = self._built()

    def load(self, uploads: Sequence[bytes], canvas: int) -> list[Photo | None]:
        """Photos in the order of their uploads; None for those that `photo.load` is to do."""
        photos: list[Photo | None] = [None] * len(uploads)
        for jobs in self._batches(_jobs(uploads, canvas)):
            for job, pixels in zip(jobs, self._shrunk(jobs), strict=True):
                photos[job.place] = None if pixels is None else job.upload.on_canvas(pixels)
        return photos

    def _shrunk(self, jobs: Sequence[Job]) -> Sequence[NDArray[np.uint8] | None]:
        inputs = {
            "FILE": [np.frombuffer(job.data, np.uint8) for job in jobs],
            "REDUCED": [np.array(job.reduced, np.float32) for job in jobs],
            "COVERED": [np.array(job.covered, np.float32) for job in jobs],
            "EXTENT": [np.array(job.upload.stored_extent, np.float32) for job in jobs],
        }
        for name, values in inputs.items():
            self.pipeline.feed_input(name, values)
        try:
            (result,) = self.pipeline.run()
        except RuntimeError:  # of one damaged photo; it spoils the batch, and the pipeline with it
            self.pipeline = self._built()
            return [None] * len(jobs)
        pixels = result if self.gpu is None else result.as_cpu()
        shrunk = (np.array(pixels.at(number)) for number in range(len(jobs)))
        return [each if _is_whole(each) else None for each in shrunk]

    def _built(self) -> Any:
        pipeline = _pipeline(
            batch_size=self.batch,
            num_threads=1,  # the instances share the cores already
            device_id=self.gpu,
            prefetch_queue_depth=1,
            decoder="cpu" if self.gpu is None else "mixed",
        )
        pipeline.build()
        return pipeline

    def _batches(self, jobs: Iterator[Job]) -> Iterator[list[Job]]:
        batch: list[Job] = []
        pixels = 0
        for job in jobs:
            more = math.prod(job.upload.size)
            if batch and (len(batch) == self.batch or pixels + more > BATCH_PIXELS):
                yield batch
                batch, pixels = [], 0
            batch.append(job)
            pixels += more
        if batch:
            yield batch


@pipeline_def
def _pipeline(decoder: str) -> Any:
    file = fn.external_source(name="FILE", dtype=types.UINT8, ndim=1)
    reduced = fn.external_source(name="REDUCED", dtype=types.FLOAT, ndim=1)
    covered = fn.external_source(name="COVERED", dtype=types.FLOAT, ndim=1)
    extent = fn.external_source(name="EXTENT", dtype=types.FLOAT, ndim=1)
    pixels = fn.decoders.image(
        file, device=decoder, output_type=types.RGB, adjust_orientation=False
    )
    pixels = fn.resize(
        pixels,
        size=reduced,
        roi_start=[0.0, 0.0],
        roi_end=covered,
        interp_type=types.INTERP_GAUSSIAN,
        antialias=True,
    )
    return fn.resize(pixels, size=extent, interp_type=types.INTERP_LINEAR, antialias=False)


def _jobs(uploads: Sequence[bytes], canvas: int) -> Iterator[Job]:
    for place, data in enumerate(uploads):
        try:
            upload = read(data, canvas)
        except Unusable:  # `photo.load` will say so
            continue
        shrunk = _reduced(upload)
        if shrunk is not None and math.prod(upload.size) <= MAX_PIXELS and _is_plain(data):
            yield Job(place, data, upload, *shrunk)


def _reduced(upload: Upload) -> tuple[tuple[int, int], tuple[float, float]] | None:
    """Height and width to shrink to at first, as `photo` does, and the pixels that they stand for.

    None at scales above a quarter.
    """
    height, width = upload.source.size[::-1]
    wanted_height, wanted_width = upload.stored_extent
    for eighths in range(1, MOST_EIGHTHS + 1):
        rows, columns = (math.ceil(side * eighths / EIGHTH) for side in (height, width))
        if rows >= wanted_height and columns >= wanted_width:
            covered = rows * EIGHTH / eighths, columns * EIGHTH / eighths
            if rows > 2 * wanted_height or columns > 2 * wanted_width:
                return upload.stored_extent, covered
            return (rows, columns), covered
    return None


def _is_whole(pixels: NDArray[np.uint8]) -> bool:
    """Whether something is in the last rows: in place of lost ones, decoders put one colour."""
    last = pixels[-max(1, len(pixels) // LAST) :]
    return bool(np.ptp(last, axis=(0, 1)).any())


def _is_plain(data: bytes) -> bool:
    """Whether this JPEG, which has a header, is whole at first sight and of a common kind."""
    if not data.startswith(jpeg.SIGNATURE) or not data.endswith(END_OF_IMAGE):
        return False
    plain = False
    for marker, content in jpeg.segments(data):
        if marker == jpeg.START_OF_SCAN:
            break
        if marker in jpeg.FRAMES:
            if plain or marker not in CODINGS or content[0] != BITS:
                return False
            plain = _has_common_colours(jpeg.frame_of(marker, content))
        elif marker == ADOBE and content.startswith(b"Adobe") and content[11:12] != YCBCR:
            return False
    return plain


def _has_common_colours(frame: jpeg.Frame) -> bool:
    """Whether there is brightness alone, or two colours with it that are named as in JFIF."""
    brightness, *colours = frame.components.values()
    if not colours:
        return True
    named = tuple(frame.components) == (1, 2, 3)
    return named and brightness in SAMPLINGS and all(colour == (1, 1) for colour in colours)
