"""From gaze data to the shipped student: data, network, training, evaluation."""

import os
import sys

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # of onnxruntime, to its makers
sys.modules["openvino_telemetry"] = None  # type: ignore[assignment]  # sends at its import
