"""The folded networks compute what the published ones do."""

import json
from pathlib import Path

import numpy as np
import pytest
import safetensors
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional as F

from training.networks import pretrained
from training.networks.student import BlockSizes, Features, StudentSizes

ESPRESSO = 967  # of ImageNet's 1000 classes
LAST_BLOCKS = (  # 14–17 of MobileNetV2, after the student's 13 (Sandler et al., 2018, table 2)
    BlockSizes(hidden=576, out=160, stride=2, residual=False),
    BlockSizes(hidden=960, out=160, stride=1, residual=True),
    BlockSizes(hidden=960, out=160, stride=1, residual=True),
    BlockSizes(hidden=960, out=320, stride=1, residual=False),
)
BLOCKS = StudentSizes().blocks + LAST_BLOCKS


def published_mobilenet_v2() -> nn.Module:
    """MobileNetV2 as torchvision builds and names it, with the weights of chance."""

    def layer(
        before: int, after: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> nn.Sequential:
        convolution = nn.Conv2d(
            before, after, kernel, stride, kernel // 2, groups=groups, bias=False
        )
        return nn.Sequential(convolution, nn.BatchNorm2d(after), nn.ReLU6())

    layers: list[nn.Module] = [layer(3, 32, 3, 2)]
    width = 32
    for block in BLOCKS:
        parts = [layer(width, block.hidden, 1)] if block.expand else []
        parts.append(layer(block.hidden, block.hidden, 3, block.stride, groups=block.hidden))
        last = [nn.Conv2d(block.hidden, block.out, 1, bias=False), nn.BatchNorm2d(block.out)]
        layers.append(nn.ModuleDict({"conv": nn.Sequential(*parts, *last)}))
        width = block.out
    layers.append(layer(width, 1280, 1))
    classifier = nn.Sequential(nn.Dropout(), nn.Linear(1280, 10))
    network = nn.ModuleDict({"features": nn.Sequential(*layers), "classifier": classifier})
    for module in network.modules():
        if isinstance(module, nn.BatchNorm2d):
            for values in (module.weight, module.bias, module.running_mean, module.running_var):
                assert values is not None
                values.data.uniform_(0.5, 1.5)
    return network.eval()


@torch.inference_mode()
def test_mobilenet_v2_computes_what_torchvisions_does(tmp_path: Path) -> None:
    torch.manual_seed(0)
    network = published_mobilenet_v2()
    torch.save(network.state_dict(), tmp_path / "published.pth")
    pretrained.write("mobilenet_v2", tmp_path / "published.pth", tmp_path / "ours.safetensors")
    ours = Features(32, BLOCKS, (17,)).eval()
    ours.load_imagenet(tmp_path / "ours.safetensors")
    stem, *blocks, _ = network["features"]  # type: ignore[index]
    mean, std = (
        torch.tensor(values)[:, None, None] for values in (pretrained.MEAN, pretrained.STD)
    )
    pictures = torch.rand(1, 3, 64, 64) * 2 - 1
    x = stem(((pictures + 1) / 2 - mean) / std)
    inside = (..., slice(1, None), slice(1, None))  # the padding means another grey
    torch.testing.assert_close(F.relu6(ours.stem(pictures))[inside], x[inside])
    for number, (sizes, published) in enumerate(zip(BLOCKS, blocks, strict=True), 1):
        y = published["conv"](x)
        torch.testing.assert_close(ours.block[str(number)](x), x + y if sizes.residual else y)
        x = torch.rand(1, sizes.out, 16, 16)


def timm_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    """The same weights as timm names them."""
    theirs = pretrained.torchvision_layout()
    timm = pretrained.timm_layout(pretrained.MOBILENET_V2_REPEATS, first=1)
    renamed = {}
    for (_, *old), (_, *new) in zip(theirs.layers, timm.layers, strict=True):
        for before, after in zip(old, new, strict=True):
            for key in [key for key in state if key.startswith(f"{before}.")]:
                renamed[after + key.removeprefix(before)] = state[key]
    return renamed | {
        f"classifier.{part}": state[f"classifier.1.{part}"] for part in ("weight", "bias")
    }


def test_timms_names_are_known(tmp_path: Path) -> None:
    state = published_mobilenet_v2().state_dict()
    renamed = timm_names(state)
    assert {"blocks.0.0.conv_pw.weight", "blocks.6.0.bn3.bias", "conv_head.weight"} <= set(renamed)
    torch.save(state, tmp_path / "torchvision.pth")
    torch.save(renamed, tmp_path / "timm.pth")
    one, other = (
        pretrained.mobilenet_v2(tmp_path / f"{n}.pth")[0] for n in ("torchvision", "timm")
    )
    assert one.keys() == other.keys()
    assert all(torch.equal(one[name], other[name]) for name in one)


def same(x: Tensor, weight: Tensor, bias: Tensor, stride: int = 1, groups: int = 1) -> Tensor:
    """A convolution with TensorFlow's SAME padding: at stride 2 more at the bottom right."""
    kernel, side = weight.shape[-1], x.shape[-1]
    pad = max(0, (-(-side // stride) - 1) * stride + kernel - side)
    x = F.pad(x, [pad // 2, pad - pad // 2] * 2)
    return F.conv2d(x, weight, bias, stride, groups=groups)


@pytest.mark.parametrize("name", pretrained.LITE_REPEATS)
@torch.inference_mode()
def test_efficientnet_lite_sees_what_it_was_trained_to_see(
    tmp_path: Path, coffee: NDArray[np.uint8], name: str
) -> None:
    path = tmp_path / "lite.safetensors"
    pretrained.write(name, None, path)
    with safetensors.safe_open(path, "pt") as file:
        arch = json.loads(file.metadata()["arch"])
        weights = {key: file.get_tensor(key) for key in file.keys()}  # noqa: SIM118

    def layer(x: Tensor, name: str, stride: int = 1, groups: int = 1) -> Tensor:
        return same(x, weights[f"{name}.weight"], weights[f"{name}.bias"], stride, groups)

    square = torch.from_numpy(coffee[:, 100:500].copy()).permute(2, 0, 1)[None].float()
    x = F.interpolate(square, (224, 224), mode="bilinear", antialias=True)
    x = F.relu6(layer((x - 127) / 128, "stem", 2))
    for block in arch:
        inside = f"block.{block['block']}"
        y = F.relu6(layer(x, f"{inside}.expand")) if block["block"] else x
        y = F.relu6(layer(y, f"{inside}.depthwise", block["stride"], block["mid"]))
        y = layer(y, f"{inside}.project")
        x = x + y if block["residual"] else y
    pooled = F.relu6(layer(x, "head")).mean(dim=(2, 3))
    logits = pooled @ weights["fc.weight"].T + weights["fc.bias"]
    assert logits.argmax() == ESPRESSO


def test_other_networks_are_refused(tmp_path: Path) -> None:
    torch.save({"a": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"a\.pth: it has none of the keys features\.0\.0\.weight"):
        pretrained.write("mobilenet_v2", tmp_path / "a.pth", tmp_path / "out.safetensors")
    torch.save({"conv_stem.weight": torch.zeros(1)}, tmp_path / "a.pth")
    with pytest.raises(ValueError, match=r"it lacks 'bn1\.weight'"):
        pretrained.write("efficientnet_lite0", tmp_path / "a.pth", tmp_path / "out.safetensors")
    assert not (tmp_path / "out.safetensors").exists()


def test_what_cannot_be_fetched_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(pretrained, "MOBILENET_V2_URL", "http://127.0.0.1:9/weights.pth")
    monkeypatch.setenv("TORCH_HOME", str(tmp_path))
    with pytest.raises(ValueError, match=r"cannot be fetched .* name the file with --from"):
        pretrained.write("mobilenet_v2", None, tmp_path / "out.safetensors")
