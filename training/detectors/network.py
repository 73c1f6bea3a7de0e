"""Detectors run in OpenVINO: on one core, at twice torch's pace."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import openvino
import torch
from numpy.typing import NDArray
from torch import nn

Network = Callable[[NDArray[np.float32]], Mapping[Any, NDArray[np.float32]]]


def compiled(network: nn.Module | Path, shape: tuple[int, ...] | None = None) -> Network:
    """A network, or the one in a file, ready to run.

    Args:
        shape: of its input; -1 stands for any length.
    """
    if isinstance(network, Path):
        model = openvino.Core().read_model(network)
    else:
        example = torch.zeros([64 if length < 0 else length for length in shape or ()])
        with torch.no_grad():
            model = openvino.convert_model(network.eval(), example_input=example, input=shape)
    # In floats of 32 bits everywhere: left alone, processors that have bfloat16 compute in it.
    options = {"INFERENCE_NUM_THREADS": 1, "INFERENCE_PRECISION_HINT": "f32"}
    return openvino.Core().compile_model(model, "CPU", options)
