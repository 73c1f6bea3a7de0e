from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch.nn import functional as F

from tests.training.samples import TINY_TEACHER, write_weights
from training.networks import backbones, teacher


def test_taps_have_the_strides_and_widths_that_are_told() -> None:
    pictures = torch.zeros(1, 3, 96, 96)
    for name, widths in (
        ("efficientnet_lite0", [40, 80, 112, 192, 320]),
        ("efficientnet_lite2", [48, 88, 120, 208, 352]),
        ("mobilenet_v2", [32, 64, 96, 160, 320]),
    ):
        network = backbones.Backbone(name)
        taps = network(pictures)
        assert [tap.shape[1] for tap in taps] == network.widths == widths
        assert [96 // tap.shape[-1] for tap in taps] == backbones.strides(name)
        assert backbones.strides(name) == [8, 16, 16, 32, 32]


@pytest.mark.parametrize("side", [31, 32])
def test_padding_is_tensorflows(side: int) -> None:
    """At stride 2 an even side gets its one pixel behind, an odd side one on each."""
    layer = torch.nn.Conv2d(1, 1, 3, stride=2, bias=False)
    picture = torch.rand(1, 1, side, side)
    before = side % 2
    padded = F.pad(picture, (before, 1, before, 1))
    assert torch.equal(backbones._same(layer, picture), layer(padded))


def test_missing_or_other_weights_are_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match="mobilenet_v2_imagenet"):
        backbones.load("mobilenet_v2", tmp_path)
    write_weights(tmp_path)
    lite, mobile = (
        tmp_path / f"{name}_imagenet.safetensors" for name in ("efficientnet_lite0", "mobilenet_v2")
    )
    mobile.write_bytes(lite.read_bytes())
    with pytest.raises(ValueError, match="does not hold the weights of mobilenet_v2"):
        backbones.load("mobilenet_v2", tmp_path)
    save_file({"a": torch.zeros(1)}, lite)
    with pytest.raises(ValueError, match="does not hold the weights of efficientnet_lite0"):
        backbones.load("efficientnet_lite0", tmp_path)


def test_the_first_layer_starts_on_standard_features() -> None:
    """Features of any mean and deviation give the sums that standardised ones do."""
    network = teacher.Teacher("mobilenet_v2", TINY_TEACHER)
    features = [5 + 3 * torch.randn(4, *shape) for shape in network.shapes()]
    plain = network.laterals[0].weight.clone()
    statistics = [
        (tap.mean(dim=(0, 2, 3)), tap.transpose(0, 1).flatten(1).std(dim=1)) for tap in features
    ]
    network.standardise(statistics)
    mean, deviation = (part[None, :, None, None] for part in statistics[0])
    expected = F.conv2d((features[0] - mean) / deviation, plain)
    assert torch.allclose(network.laterals[0](features[0]), expected, atol=1e-4)


def test_a_mirror_images_density_is_the_mirror_image() -> None:
    torch.manual_seed(0)
    network = teacher.Teacher("mobilenet_v2", TINY_TEACHER).eval()
    pixels = torch.randint(0, 256, (1, 64, 64, 3), dtype=torch.uint8)
    extent = torch.tensor([[48, 64]], dtype=torch.int32)
    (density,) = teacher.densities([network], pixels, extent)
    (mirrored,) = teacher.densities([network], pixels.flip(2), extent)
    assert torch.allclose(density, mirrored.flip(-1), atol=1e-6)
    assert [tuple(tap.shape[1:]) for tap in network.look(pixels)] == network.shapes()
