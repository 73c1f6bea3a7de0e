"""From the student's checkpoint to the files that Triton serves, each proven equal to it."""

import os

os.environ["ORT_DISABLE_TELEMETRY"] = "1"  # of onnxruntime, to its makers
