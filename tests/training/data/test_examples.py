from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.training.samples import write_set
from training.data.examples import Batches, Examples, resampled
from training.data.fixations import read_fixation_set
from training.data.sources import human_densities


def examples(folder: Path, augment: bool) -> Examples:
    photos = read_fixation_set(write_set(folder))
    paths = [photo.path for photo in photos]
    human = human_densities(photos)
    integrity = [density / density.max() for density in human]
    return Examples(paths, human, 64, 8, augment=augment, integrity=integrity)


def test_augmentation_moves_the_density_with_the_picture(tmp_path: Path) -> None:
    """Everybody looks at the one bright square, in every crop and mirror image of it."""
    dataset = examples(tmp_path, augment=True)
    for draw in range(60):
        pixels, extent, density, integrity = dataset[draw % 12, draw]
        top, left = ((64 - extent) // 2).tolist()
        photo = pixels[top : 64 - top, left : 64 - left].float().mean(dim=2).numpy()
        rows = np.add.reduceat(photo, np.arange(8) * photo.shape[0] // 8, axis=0)
        brightness = np.add.reduceat(rows, np.arange(8) * photo.shape[1] // 8, axis=1)
        looked_at = brightness[density.numpy() > 0.02].mean()
        assert looked_at > 1.2 * brightness[density.numpy() == 0].mean()
        assert density.sum().item() == pytest.approx(1, abs=1e-5)
        assert np.corrcoef(density.flatten(), integrity.flatten())[0, 1] > 0.99


def test_some_photos_take_a_part_of_the_canvas(tmp_path: Path) -> None:
    dataset = examples(tmp_path, augment=True).augmented(crops=0, shrunk=0.5)
    shrunk = 0
    for draw in range(40):
        pixels, extent, *_ = dataset[0, draw]
        assert pixels.shape == (64, 64, 3)
        top, left = ((64 - extent) // 2).tolist()
        assert (pixels[:top] == 128).all()
        assert (pixels[:, :left] == 128).all()
        shrunk += int(extent.max()) == 32
    assert 5 < shrunk < 35


def test_the_same_draw_gives_the_same_example(tmp_path: Path) -> None:
    dataset = examples(tmp_path, augment=True)
    for first, second in zip(dataset[3, 17], dataset[3, 17], strict=True):
        assert first.equal(second)
    assert not dataset[3, 17][0].equal(dataset[3, 18][0])


@given(
    st.integers(1, 40),
    st.integers(1, 40),
    st.floats(0, 0.9),
    st.floats(0, 0.9),
    st.floats(0.1, 1),
    st.integers(1, 20),
)
def test_resampling_keeps_masses(
    height: int, width: int, left: float, top: float, side: float, grid: int
) -> None:
    """Of an even density every part is even; of any density halves have their own mass."""
    box = np.array([left, top, min(1, left + side), min(1, top + side)])
    even = np.full((height, width), 1 / (height * width), np.float32)
    assert np.allclose(resampled(even, box, grid), 1 / grid**2, atol=1e-6)
    density = np.random.default_rng(0).random((height, width), np.float32)
    whole = np.array([0.0, 0.0, 1.0, 1.0])
    doubled = resampled(density, whole, 2 * max(height, width))
    again = resampled(doubled, whole, 1)
    assert again.sum() == pytest.approx(1)


def test_resampling_to_the_same_grid_changes_nothing() -> None:
    density = np.random.default_rng(0).random((9, 9), np.float32)
    whole = np.array([0.0, 0.0, 1.0, 1.0])
    assert np.allclose(resampled(density, whole, 9), density / density.sum(), atol=1e-6)


def test_batches_go_on_where_they_stopped() -> None:
    whole = list(Batches(10, 4, 0, 20, seed=3, rank=0, ranks=1))
    assert list(Batches(10, 4, 7, 20, seed=3, rank=0, ranks=1)) == whole[7:]
    first_epoch = [index for batch in whole for index, draw in batch if draw < 10]
    assert sorted(first_epoch) == list(range(10))


def test_ranks_share_each_batch() -> None:
    whole = list(Batches(10, 4, 0, 5, seed=3, rank=0, ranks=1))
    shares = [list(Batches(10, 4, 0, 5, seed=3, rank=rank, ranks=2)) for rank in (0, 1)]
    for batch, first, second in zip(whole, *shares, strict=True):
        assert sorted(first + second) == sorted(batch)
