"""Checkpoint files: weights and, as text beside them, what rebuilds their network."""

from collections.abc import Mapping
from pathlib import Path

import safetensors
import safetensors.torch
from torch import nn

from training.files import whole


def write(network: nn.Module, path: Path, metadata: Mapping[str, str]) -> None:
    state = {name: tensor.contiguous() for name, tensor in network.state_dict().items()}
    with whole(path) as file:
        safetensors.torch.save_file(state, file, dict(metadata))


def read_metadata(path: Path) -> dict[str, str]:
    """The text beside the weights.

    Raises:
        FileNotFoundError: there is no such file.
        ValueError: it is no file of safetensors.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return file.metadata() or {}
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path} is no checkpoint: {error}") from error
