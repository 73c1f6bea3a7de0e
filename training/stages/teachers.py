"""Stage 1, teachers: one for each seed, trained on the fixations' likelihood."""

from pathlib import Path

import torch

from training.data.examples import Examples
from training.networks import teacher
from training.networks.student import Features
from training.stages.fit import fit
from training.stages.run import Run


def train_teachers(run: Run) -> list[Path]:
    """The checkpoints of the run's teachers; trains those that have none yet."""
    return [_train(run, seed) for seed in run.recipe.teachers.seeds]


def _train(run: Run, seed: int) -> Path:
    folder, recipe = run.folder / f"teacher-{seed}", run.recipe.teachers
    checkpoint = folder / "teacher.safetensors"
    if run.has(f"{folder.name}/{checkpoint.name}"):
        return checkpoint
    torch.manual_seed(seed)
    network = teacher.Teacher(recipe.sizes, pretrained=True)
    if run.imagenet and isinstance(network.features, Features):
        network.features.load_imagenet(run.imagenet)
    network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
    examples = Examples(
        [photo.path for photo in run.sources.training],
        run.sources.human,
        recipe.sizes.canvas,
        recipe.sizes.grid,
        augment=True,
        seed=seed,
        read=run.decoded,
    )
    trained = fit(network, examples, recipe.schedule, folder, run.fabric, seed)
    if run.fabric.is_global_zero:
        teacher.save(trained, checkpoint)
    run.fabric.barrier()
    return checkpoint
