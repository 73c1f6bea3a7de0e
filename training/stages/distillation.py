"""Stage 5, distillation: the student before pruning learns what teachers and detectors say.

It starts from MobileNetV2's weights or, with `--start`, from an earlier student, whose features
need no ImageNet again.
"""

import torch

from training.networks import student
from training.networks.backbones import weights_file
from training.stages.run import Run
from training.stages.targets import distillation_examples, learn


def distil(run: Run) -> student.Student:
    """The student before pruning."""
    path = run.folder / "distilled.safetensors"
    if not run.has(path.name):
        learn(run, _start(run), distillation_examples(run), run.recipe.distillation, path)
    return student.load(path)


def _start(run: Run) -> student.Student:
    torch.manual_seed(run.recipe.seed)
    if run.start:
        return student.continued(run.start, run.recipe.student)
    network = student.Student(run.recipe.student)
    network.features.load_imagenet(weights_file(run.weights, "mobilenet_v2"))
    student.expect_rarely(network)
    return network
