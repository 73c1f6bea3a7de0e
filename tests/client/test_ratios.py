"""One shape or a list of them, in the forms in which people write them."""

from decimal import Decimal
from typing import Any

import gazecrop
import numpy as np
import pytest
from gazecrop._geometry import parse_ratios
from hypothesis import given
from hypothesis import strategies as st

SALIENCY = gazecrop.Saliency(np.ones((40, 40)), (1600, 1200))


@pytest.mark.parametrize(
    "ratio",
    ["16:9", "16x9", "16X9", "16×9", "16 / 9", " 16 : 9", (16, 9), [16, 9], np.array([16, 9]),
     16 / 9, np.float32(16 / 9), Decimal(16) / 9, (16.0, 9), (3840, 2160)],
)  # fmt: skip
def test_every_way_to_write_a_ratio(ratio: Any) -> None:
    assert gazecrop.parse_ratio(ratio) == pytest.approx(16 / 9)
    assert SALIENCY.crop(ratio).rect[2:] == (1600, 900)


@pytest.mark.parametrize(
    "ratio",
    ["", "16:", ":9", "16:9:1", "43", "169", "wide", "16:0", "-16:-9", "nan", "inf", "0", 0, -1,
     1e9, 1e-9, float("nan"), float("inf"), True, None, (16,), (16, 9, 1), (-16, -9), (0, 0), [],
     {"16": 9}, (1, "x"), object()],
)  # fmt: skip
def test_what_is_no_ratio_is_refused(ratio: Any) -> None:
    for refuse in (gazecrop.parse_ratio, SALIENCY.crop):
        with pytest.raises(gazecrop.InvalidArgument, match="an aspect ratio is"):
            refuse(ratio)


@given(st.integers(1, 100_000), st.integers(1, 100_000))
def test_two_numbers_are_one_ratio(width: int, height: int) -> None:
    forms: list[Any] = [f"{width}:{height}", (width, height), [width, height]]
    if not 1 / 100 <= width / height <= 100:
        for form in forms:
            with pytest.raises(gazecrop.InvalidArgument):
                parse_ratios(form)
        return
    for form in forms:
        ratios, one = parse_ratios(form)
        assert ratios == [width / height]
        assert one == (not isinstance(form, list))


def test_one_ratio_gives_one_crop_and_a_list_gives_a_list(
    client: gazecrop.Client, photo: Any
) -> None:
    wide = client.crop(photo, (1200, 675))
    assert wide.rect.width == 600
    assert wide == client.crop(photo, "16:9")
    assert client.crop(photo, [[16, 9]]) == client.crop(photo, [16, 9]) == [wide]  # type: ignore[list-item]
    assert client.crop(photo, ("16:9", "1:1"))[0] == wide
    assert list(client.crop_many([photo], "16:9")) == [wide]
    assert [crop.ratio for crop in wide] == [wide.ratio]  # where a list of crops is read


@pytest.mark.parametrize("ratios", ["43", None, 0, ["16:9", "43"], (0, 1), [[1]], 1e9])
def test_wrong_ratios_are_refused_before_anything_is_sent(ratios: Any) -> None:
    with gazecrop.Client("127.0.0.1:1") as client:
        for call in (client.crop, client.crop_many):
            with pytest.raises(gazecrop.InvalidArgument):
                call([b""] if call == client.crop_many else b"", ratios)  # type: ignore[operator]


@pytest.mark.parametrize(
    "options",
    [{"zoom": "2"}, {"zoom": None}, {"zoom": float("inf")}, {"keep": 5}, {"avoid": "logo"},
     {"tolerance": None}, {"min_kept": "half"}, {"method": None}, {"method": []}, {"focus": 5},
     {"focus": "centre"}, {"keep": (0, 0, 10, 10)}],
)  # fmt: skip
def test_options_that_make_no_sense_are_refused(options: Any) -> None:
    with pytest.raises(gazecrop.InvalidArgument):
        SALIENCY.crop("1:1", **options)


def test_no_boxes_are_no_boxes() -> None:
    assert SALIENCY.crop("1:1", keep=None, avoid=None) == SALIENCY.crop("1:1")


@pytest.mark.parametrize("density", [None, "map", [["a"]], [[1], [1, 2]], [[1j]], 5])
def test_what_is_no_density_is_refused(density: Any) -> None:
    with pytest.raises(gazecrop.InvalidArgument):
        gazecrop.Saliency(density, (10, 10))
