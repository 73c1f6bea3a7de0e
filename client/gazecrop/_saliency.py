"""A prediction: where in a photo people will look."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypedDict

import numpy as np
from numpy.typing import ArrayLike, NDArray
from typing_extensions import Unpack

from gazecrop._crop import Crop
from gazecrop._errors import InvalidArgument
from gazecrop._geometry import (
    Box,
    Point,
    Ratio,
    Rect,
    Size,
    parse_box,
    parse_ratio,
    parse_size,
    window_size,
)
from gazecrop._window import Candidates, Constraints, Method, choose, choose_several, kept

VERSION = 1  # of the stored form


class CropOptions(TypedDict, total=False):
    """What a caller may ask of crops. Coordinates are pixels of the upright photo.

    focus: a point (x, y) or a box (left, top, width, height) that must be inside. The method
        "point" takes it, not the salient point, as its target.
    keep: boxes that must be inside: faces that the caller knows of, a logo.
    avoid: boxes that must stay outside: a watermark.
    zoom: how many times smaller the window is than the largest; 1 by default.
    min_kept: share of the attention below which `Crop.advice` is to pad; 0.5 by default.
    method: "mass" (the default) puts the window where it holds the most attention, "point"
        around the salient point, as Twitter did in 2018, "centre" in the middle of the photo.
    """

    focus: Point | Box | None
    keep: Sequence[Box]
    avoid: Sequence[Box]
    zoom: float
    min_kept: float
    method: Method


@dataclass(frozen=True, eq=False)
class Saliency:
    """A saliency map with the size of its photo. Needs no server.

    Attributes:
        density: float32 [h, w], the probability that gaze falls into each cell of a grid
            over the whole upright photo; sums to 1.
        size: (width, height) of the upright photo in pixels.

    Raises:
        gazecrop.InvalidArgument: `density` is no map of finite values ≥ 0 with a positive sum, or
            `size` is not two positive whole numbers.
    """

    density: NDArray[np.float32]
    size: Size

    def __init__(self, density: ArrayLike, size: Size) -> None:
        object.__setattr__(self, "density", _normalised(density))
        object.__setattr__(self, "size", parse_size(size))

    @property
    def salient_point(self) -> tuple[int, int]:
        """(x, y) in pixels: the centre of the cell that draws most attention."""
        rows, columns = self.density.shape
        row, column = np.unravel_index(int(self.density.argmax()), self.density.shape)
        width, height = self.size
        return int((column + 0.5) * width / columns), int((row + 0.5) * height / rows)

    def crop(self, ratio: Ratio, **options: Unpack[CropOptions]) -> Crop:
        """The window of an aspect ratio that holds the most predicted attention.

        Attention counts a little less far from the centre of the photo.

        It is the largest of this ratio in the photo, unless `zoom` asks for a smaller one.

        Args:
            ratio: width to height, as "16:9", 1.78 or (1200, 675).
            options: focus, keep, avoid, zoom, min_kept, method; see `gazecrop.CropOptions`.

        Raises:
            gazecrop.InvalidArgument: this is no aspect ratio, or an option makes no sense
                for this photo.
            gazecrop.NoWindow: no window meets the options; a padded photo might.
        """
        return self._crops(parse_ratio(ratio), 1, **options)[0]

    def crops(self, ratio: Ratio, n: int, **options: Unpack[CropOptions]) -> list[Crop]:
        """Several different crops to choose from, those that keep the most attention first.

        They are chosen one after another: each holds the most of the attention that those
        chosen before it left out, among the windows whose intersection over union with each of
        those is at most 0.6. (Two windows of one size then share at most 75 % of their area.)
        Where the photo offers no more such windows, there are fewer than n.

        Args:
            ratio: width to height, as "16:9", 1.78 or (1200, 675).
            n: how many, at most.
            options: as for `crop`; the only method for several is "mass".

        Raises:
            gazecrop.InvalidArgument, gazecrop.NoWindow: as `crop`.
        """
        if n < 1:
            raise InvalidArgument(f"the number of crops is at least 1, not {n!r}")
        if options.get("method", "mass") != "mass":
            raise InvalidArgument("several crops are chosen by their mass; leave the method out")
        return self._crops(parse_ratio(ratio), n, **options)

    def to_json(self) -> str:
        """A small text to store (about 6 kB), from which `from_json` restores this exactly."""
        values = base64.b64encode(self.density.astype("<f4").tobytes()).decode()
        stored = {"version": VERSION, "size": self.size, "grid": self.density.shape}
        return json.dumps({**stored, "density": values})

    @staticmethod
    def from_json(text: str | bytes) -> Saliency:
        """Restore what `to_json` stored.

        Raises:
            gazecrop.InvalidArgument: the text is something else, or of a later version.
        """
        try:
            stored = json.loads(text)
            version = stored["version"]
            if version == VERSION:
                values = np.frombuffer(base64.b64decode(stored["density"]), "<f4")
                return Saliency(values.reshape(stored["grid"]), tuple(stored["size"]))
        except (ValueError, KeyError, TypeError) as error:
            raise InvalidArgument(f"this is no stored saliency: {error}") from error
        raise InvalidArgument(
            f"this saliency was stored in version {version!r}; this gazecrop reads {VERSION}"
        )

    def _crops(
        self,
        ratio: float,
        n: int,
        *,
        focus: Point | Box | None = None,
        keep: Sequence[Box] = (),
        avoid: Sequence[Box] = (),
        zoom: float = 1.0,
        min_kept: float = 0.5,
        method: Method = "mass",
    ) -> list[Crop]:
        if not 1 <= zoom < float("inf"):
            raise InvalidArgument(f"a zoom is a number of at least 1, not {zoom!r}")
        if not 0 <= min_kept <= 1:
            raise InvalidArgument(f"min_kept is a share from 0 to 1, not {min_kept!r}")
        if method not in ("mass", "point", "centre"):
            raise InvalidArgument(f"a method is 'mass', 'point' or 'centre', not {method!r}")
        inside = [parse_box("keep", box, self.size) for box in keep]
        target: Point = self.salient_point
        if focus is not None:
            inside.append(parse_box("focus", focus, self.size))
            left, top, width, height = inside[-1]
            target = left + width / 2, top + height / 2
        constraints = Constraints(inside, [parse_box("avoid", box, self.size) for box in avoid])
        window = window_size(self.size, ratio, zoom)
        candidates = Candidates(self.density.shape, self.size, window, constraints, target)
        rects = (
            [choose(self.density, candidates, method)]
            if n == 1
            else choose_several(self.density, candidates, n)
        )
        crops = [self._described(rect, ratio, min_kept) for rect in rects]
        return sorted(crops, key=lambda crop: -crop.kept) if n > 1 else crops

    def _described(self, rect: Rect, ratio: float, min_kept: float) -> Crop:
        return Crop(rect, kept(self.density, self.size, rect), self.size, ratio, min_kept)


def _normalised(density: ArrayLike) -> NDArray[np.float32]:
    values = np.asarray(density, np.float64)
    if values.ndim != 2 or not np.isfinite(values).all() or (values < 0).any():
        raise InvalidArgument("a density is a 2-d array of finite values ≥ 0")
    if not values.sum() > 0:
        raise InvalidArgument("a density needs a positive sum")
    return (values / values.sum()).astype(np.float32)
