"""A prediction: where in a photo people will look."""

from __future__ import annotations

import base64
import json
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TypedDict, get_args

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
    parse_count,
    parse_number,
    parse_ratio,
    parse_ratios,
    parse_size,
    window_size,
)
from gazecrop._things import Things
from gazecrop._window import (
    TOLERANCE,
    Candidates,
    Constraints,
    Integrity,
    Method,
    centred,
    choose,
    choose_several,
    kept,
)

VERSION = 2  # of the stored form; 1 had no integrity
ROUNDING = 1e-3  # of an integrity, beyond 0 and 1


class CropOptions(TypedDict, total=False):
    """What a caller may ask of crops. Coordinates are pixels of the upright photo.

    focus: a point (x, y) or a box (left, top, width, height) that must be inside. The method
        "point" takes it, not the salient point, as its target.
    keep: boxes that must be inside: faces that the caller knows of, a logo.
    avoid: boxes that must stay outside: a watermark.
    zoom: how many times smaller the window is than the largest; 1 by default.
    tolerance: how much less of the attention than the best a window may hold, to cut through
        fewer heads and lines of text; 0.02 by default, 0 for the most attention whatever it cuts.
    min_kept: share of the attention below which `Crop.advice` is to pad; 0.5 by default.
    method: "mass" (the default) puts the window where it holds the most attention, "point"
        around the salient point, as Twitter did in 2018, "centre" in the middle of the photo.
    """

    focus: Point | Box | None
    keep: Sequence[Box] | None
    avoid: Sequence[Box] | None
    zoom: float
    tolerance: float
    min_kept: float
    method: Method


@dataclass(frozen=True)
class Options:
    """`CropOptions`, complete; boxes are checked against a photo only."""

    focus: Point | Box | None
    keep: Sequence[Box]
    avoid: Sequence[Box]
    zoom: float
    tolerance: float
    min_kept: float
    method: Method


def parse_options(
    *,
    focus: Point | Box | None = None,
    keep: Sequence[Box] | None = None,
    avoid: Sequence[Box] | None = None,
    zoom: float = 1.0,
    tolerance: float = TOLERANCE,
    min_kept: float = 0.5,
    method: Method = "mass",
) -> Options:
    """What a caller asks of crops.

    Raises:
        InvalidArgument: an option makes no sense for any photo.
    """
    if method not in get_args(Method):
        raise InvalidArgument(f"a method is 'mass', 'point' or 'centre', not {method!r}")
    return Options(
        focus,
        _boxes("keep", keep),
        _boxes("avoid", avoid),
        parse_number("a zoom", zoom, 1),
        parse_number("a tolerance", tolerance, 0, 1),
        parse_number("min_kept", min_kept, 0, 1),
        method,
    )


@dataclass(frozen=True, eq=False)
class Saliency:
    """A saliency map with the size of its photo. Needs no server.

    Attributes:
        density: float32 [h, w], the probability that gaze falls into each cell of a grid
            over the whole upright photo; sums to 1.
        size: (width, height) of the upright photo in pixels.
        integrity: float32 [h, w], how much of each cell belongs to something that a cut spoils,
            a head or a line of text, from 0 to 1; None where the server does not tell.
        model: the network that predicted it, by the first 12 digits of its checkpoint's SHA-256;
            None where the server does not tell.

    Raises:
        gazecrop.InvalidArgument: `density` is no map of finite values ≥ 0 with a positive sum,
            `size` is not two positive whole numbers, or `integrity` is no map of values from 0
            to 1 on the same grid.
    """

    density: NDArray[np.float32]
    size: Size
    integrity: NDArray[np.float32] | None
    model: str | None

    def __init__(
        self,
        density: ArrayLike,
        size: Size,
        integrity: ArrayLike | None = None,
        model: str | None = None,
    ) -> None:
        object.__setattr__(self, "density", _normalised(density))
        object.__setattr__(self, "size", parse_size(size))
        checked = None if integrity is None else _integrity(integrity, self.density.shape)
        object.__setattr__(self, "integrity", checked)
        object.__setattr__(self, "model", model)

    @property
    def salient_point(self) -> tuple[int, int]:
        """(x, y) in pixels: the centre of the cell that draws most attention."""
        rows, columns = self.density.shape
        row, column = np.unravel_index(int(self.density.argmax()), self.density.shape)
        width, height = self.size
        return int((column + 0.5) * width / columns), int((row + 0.5) * height / rows)

    def crop(self, ratio: Ratio, **options: Unpack[CropOptions]) -> Crop:
        """The window of an aspect ratio that holds the most predicted attention.

        Attention counts a little less far from the centre of the photo. Where the integrity is
        known, a window that holds a little less may be chosen because its edges cut through less.

        It is the largest of this ratio in the photo, unless `zoom` asks for a smaller one.

        Args:
            ratio: width to height, as "16:9", 1.78 or (1200, 675).
            options: focus, keep, avoid, zoom, tolerance, min_kept, method; see
                `gazecrop.CropOptions`.

        Raises:
            gazecrop.InvalidArgument: this is no aspect ratio, or an option makes no sense
                for this photo.
            gazecrop.NoWindow: no window meets the options; a padded photo might.
        """
        return self._crops(parse_ratio(ratio), 1, parse_options(**options))[0]

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
        checked = parse_options(**options)
        if checked.method != "mass":
            raise InvalidArgument("several crops are chosen by their mass; leave the method out")
        return self._crops(parse_ratio(ratio), parse_count("n", n), checked)

    def to_json(self) -> str:
        """A small text to store, 17 kB with the integrity, which `from_json` restores exactly."""
        stored: dict[str, object] = {
            "version": VERSION,
            "size": self.size,
            "grid": self.density.shape,
        }
        stored["density"] = _encoded(self.density)
        if self.integrity is not None:
            stored["integrity"] = _encoded(self.integrity)
        if self.model is not None:
            stored["model"] = self.model
        return json.dumps(stored)

    @staticmethod
    def from_json(text: str | bytes) -> Saliency:
        """Restore what `to_json` stored, in this version of gazecrop or an earlier one.

        Raises:
            gazecrop.InvalidArgument: the text is something else, or of a later version.
        """
        try:
            stored = json.loads(text)
            version = stored["version"]
            if version in range(1, VERSION + 1):
                maps = {
                    name: np.frombuffer(base64.b64decode(stored[name]), "<f4")
                    for name in ("density", "integrity")
                    if name in stored
                }
                maps = {name: values.reshape(stored["grid"]) for name, values in maps.items()}
                size, model = tuple(stored["size"]), stored.get("model")
                return Saliency(maps["density"], size, maps.get("integrity"), model)
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError) as error:
            raise InvalidArgument(f"this is no stored saliency: {error}") from error
        raise InvalidArgument(
            f"this saliency was stored in version {version!r}; this gazecrop reads up to {VERSION}"
        )

    @cached_property
    def _mean_point(self) -> Point:
        """(x, y) in pixels: the mean of the points that gaze falls on."""
        across, down = (
            float(self.density.sum(axis=axis, dtype=float) @ (np.arange(cells) + 0.5)) / cells
            for axis, cells in enumerate(self.density.shape[::-1])
        )
        return across * self.size[0], down * self.size[1]

    @cached_property
    def _weights(self) -> NDArray[np.float64]:
        return centred(self.density)

    @cached_property
    def _spared(self) -> Integrity | None:
        return None if self.integrity is None else Integrity(self.integrity, self.density)

    @cached_property
    def _things(self) -> Things | None:
        return None if self.integrity is None else Things(self.integrity)

    def _crops(
        self,
        ratio: float,
        n: int,
        options: Options,
    ) -> list[Crop]:
        inside = [parse_box("keep", box, self.size) for box in options.keep]
        target: Point = self.salient_point if options.method == "point" else self._mean_point
        if options.focus is not None:
            inside.append(parse_box("focus", options.focus, self.size))
            left, top, width, height = inside[-1]
            target = left + width / 2, top + height / 2
        outside = [parse_box("avoid", box, self.size) for box in options.avoid]
        constraints = Constraints(inside, outside)
        window = window_size(self.size, ratio, options.zoom)
        tolerance = options.tolerance
        marks = self.density.shape
        if self.integrity is not None and tolerance and options.zoom == 1:
            # What an edge cuts is greatest and least in the middles of cells. A window that moves
            # along one side alone has so few places that these may be tried as well.
            marks = marks[0] * 2, marks[1] * 2
        candidates = Candidates(marks, self.size, window, constraints, target)
        rects = (
            [choose(self._weights, self._spared, tolerance, candidates, options.method)]
            if n == 1
            else choose_several(self._weights, self._spared, tolerance, candidates, n)
        )
        crops = [self._described(rect, ratio, options.min_kept) for rect in rects]
        return sorted(crops, key=lambda crop: -crop.kept) if n > 1 else crops

    def _described(self, rect: Rect, ratio: float, min_kept: float) -> Crop:
        share = kept(self.density, self.size, rect)
        cuts = None if self._things is None else self._things.cut(self.density, self.size, rect)
        return Crop(rect, share, self.size, ratio, min_kept, cuts)


class Cutter:
    """Ratios and options of a call, checked before it: one crop for one ratio, or a list."""

    def __init__(self, ratios: Ratio | Iterable[Ratio], options: CropOptions) -> None:
        self._ratios, self._one = parse_ratios(ratios)
        self._options = parse_options(**options)

    def __call__(self, saliency: Saliency) -> Crop | list[Crop]:
        crops = [saliency._crops(ratio, 1, self._options)[0] for ratio in self._ratios]
        return crops[0] if self._one else crops


def _boxes(name: str, boxes: Sequence[Box] | None) -> Sequence[Box]:
    try:
        return () if boxes is None else tuple(boxes)
    except TypeError:
        raise InvalidArgument(
            f"{name} is a list of boxes (left, top, width, height), not {boxes!r}"
        ) from None


def _floats(name: str, values: ArrayLike) -> NDArray[np.float64]:
    try:
        return np.asarray(values, np.float64)
    except (TypeError, ValueError) as error:
        raise InvalidArgument(f"{name} is an array of numbers: {error}") from error


def _normalised(density: ArrayLike) -> NDArray[np.float32]:
    values = _floats("a density", density)
    if values.ndim != 2 or not np.isfinite(values).all() or (values < 0).any():
        raise InvalidArgument("a density is a 2-d array of finite values ≥ 0")
    if not values.sum() > 0:
        raise InvalidArgument("a density needs a positive sum")
    return (values / values.sum()).astype(np.float32)


def _integrity(integrity: ArrayLike, grid: tuple[int, ...]) -> NDArray[np.float32]:
    values = _floats("an integrity", integrity)
    if values.shape != grid:
        raise InvalidArgument(
            f"an integrity is a map on the density's grid {grid}, not {values.shape}"
        )
    if not ((values >= -ROUNDING) & (values <= 1 + ROUNDING)).all():
        raise InvalidArgument("an integrity has finite values from 0 to 1")
    return values.clip(0, 1).astype(np.float32)


def _encoded(values: NDArray[np.float32]) -> str:
    return base64.b64encode(values.astype("<f4").tobytes()).decode()
