"""Draw the pictures of docs/concepts.md: what the shipped network says of scikit-image's photos.

python -m perf.pictures [--out docs]
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import gazecrop
import numpy as np
import skimage.data
from numpy.typing import NDArray
from PIL import Image

from training.evaluation.evaluate import CHECKPOINT
from training.networks import student
from training.networks.predictors import FramedNetwork

Pixels: TypeAlias = NDArray[np.uint8]
Picture: TypeAlias = Callable[[Pixels, gazecrop.Saliency], Image.Image]

HEIGHT = 300  # pixels of each panel
GAP = 10  # pixels between panels
SHAPES = ("16:9", "1:1", "1:2")


def saliency_map(photo: Pixels, saliency: gazecrop.Saliency) -> Image.Image:
    """The photo, the cells of its map, and the map over the photo."""
    # Roots show the weak cells, too.
    cells = np.sqrt(saliency.density / saliency.density.max()) * 255
    grid = Image.fromarray(cells.astype(np.uint8)).resize(saliency.size, Image.Resampling.NEAREST)
    return in_a_row([Image.fromarray(photo), grid, gazecrop.overlay(photo, saliency, {})])


def windows(photo: Pixels, saliency: gazecrop.Saliency) -> Image.Image:
    """The windows of several shapes in one photo, and what each cuts out."""
    crops = {shape: saliency.crop(shape) for shape in SHAPES}
    framed = gazecrop.overlay(photo, saliency, crops)
    return in_a_row([framed, *(crop.apply(photo) for crop in crops.values())])


def methods(photo: Pixels, saliency: gazecrop.Saliency) -> Image.Image:
    """A square from the centre, around the densest point, and where the most attention is."""
    centred = saliency.crop("1:1", method="centre")
    around_point = saliency.crop("1:1", method="point")
    crops = (centred, around_point, saliency.crop("1:1"))
    return in_a_row([crop.apply(photo) for crop in crops])


def integrity(photo: Pixels, saliency: gazecrop.Saliency) -> Image.Image:
    """What a cut would spoil; a wide window that cuts it, and one whose caller keeps it."""
    spoilt = gazecrop.overlay(photo, saliency, {}, "integrity")
    cutting = saliency.crop("16:9")
    kept = saliency.crop("16:9", keep=[cut.box for cut in cutting.cuts or ()])
    return in_a_row([spoilt, cutting.apply(photo), kept.apply(photo)])


def in_a_row(pictures: Sequence[Image.Image]) -> Image.Image:
    """Pictures beside each other, of one height."""
    panels = [
        picture.convert("RGB").resize((round(picture.width * HEIGHT / picture.height), HEIGHT))
        for picture in pictures
    ]
    width = sum(panel.width for panel in panels) + GAP * (len(panels) - 1)
    row, left = Image.new("RGB", (width, HEIGHT), "white"), 0
    for panel in panels:
        row.paste(panel, (left, 0))
        left += panel.width + GAP
    return row


# file → what draws it, of which photo
PICTURES: dict[str, tuple[Picture, Callable[[], NDArray[Any]]]] = {
    "saliency-map.jpg": (saliency_map, skimage.data.astronaut),
    "windows.jpg": (windows, skimage.data.cat),
    "methods.jpg": (methods, skimage.data.coffee),
    "integrity.jpg": (integrity, skimage.data.astronaut),
}


def draw(out: Path) -> None:
    """Write all pictures into a folder."""
    network = FramedNetwork(student.load(CHECKPOINT))
    for name, (drawn, photo_of) in PICTURES.items():
        photo = np.asarray(photo_of(), np.uint8)
        density, spoilt = network.maps(photo)
        saliency = gazecrop.Saliency(density, (photo.shape[1], photo.shape[0]), spoilt)
        drawn(photo, saliency).save(out / name, quality=85)


def main() -> None:
    parser = argparse.ArgumentParser(description="draw the pictures of docs/concepts.md")
    parser.add_argument("--out", type=Path, default=Path("docs"), help="an existing folder")
    draw(parser.parse_args().out)


if __name__ == "__main__":
    main()
