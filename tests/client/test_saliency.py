import gazecrop
import numpy as np
import pytest


def test_a_stored_saliency_knows_its_network() -> None:
    for model in ("4b6a2a245c44", None):
        saliency = gazecrop.Saliency([[1, 2]], (4, 2), model=model)
        assert gazecrop.Saliency.from_json(saliency.to_json()).model == model


def test_densities_are_normalised() -> None:
    saliency = gazecrop.Saliency([[1, 2], [3, 4]], (20, 10))
    assert saliency.density.dtype == np.float32
    assert saliency.density.sum() == pytest.approx(1)
    assert saliency.density[1, 1] == pytest.approx(0.4)


def test_salient_point_is_the_centre_of_the_strongest_cell() -> None:
    assert gazecrop.Saliency([[0, 0], [0, 1]], (200, 100)).salient_point == (150, 75)
    assert gazecrop.Saliency([[1]], (1, 1)).salient_point == (0, 0)


@pytest.mark.parametrize(
    "density", [[1, 2], [[np.nan, 1]], [[np.inf, 1]], [[-1, 2]], [[0, 0]], np.ones((1, 2, 2))]
)
def test_what_is_no_density_is_refused(density: object) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="a density"):
        gazecrop.Saliency(density, (10, 10))  # type: ignore[arg-type]


@pytest.mark.parametrize("size", [(0, 5), (5, -1), (1.5, 2), (5,), "ab", None])
def test_what_is_no_size_is_refused(size: object) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="a size is"):
        gazecrop.Saliency([[1]], size)  # type: ignore[arg-type]


def test_a_stored_saliency_gives_the_same_crops() -> None:
    saliency = gazecrop.Saliency(np.random.default_rng(0).random((32, 32)), (4000, 3000))
    text = saliency.to_json()
    restored = gazecrop.Saliency.from_json(text.encode())
    assert len(text) < 6000
    assert np.array_equal(restored.density, saliency.density)
    assert restored.size == saliency.size
    assert restored.crop("16:9") == saliency.crop("16:9")


@pytest.mark.parametrize(
    "text",
    [
        "",
        "[]",
        "{}",
        "null",
        '{"version": 1}',
        '{"version": 1, "size": [4, 4], "grid": [2, 2], "density": "AAAA"}',
        '{"version": 1, "size": [4], "grid": [1, 1], "density": "AACAPw=="}',
        '{"version": 1, "size": [4, 4], "grid": [1, 1], "density": "AAAAAA=="}',
    ],
)
def test_what_is_no_stored_saliency_is_refused(text: str) -> None:
    with pytest.raises(gazecrop.InvalidArgument):
        gazecrop.Saliency.from_json(text)


def test_a_later_version_is_named() -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="version 3"):
        gazecrop.Saliency.from_json('{"version": 3}')
