"""Train the run's teachers, one for each seed, on the fixations' likelihood.

python -m training.stages.teachers --data FOLDER [--imagenet FILE]
"""

import torch

from training.data.examples import Examples
from training.data.sources import Sources
from training.networks import teacher
from training.networks.student import Features
from training.stages.fit import fit
from training.stages.recipe import Run, from_command_line


def train_teachers(run: Run, sources: Sources) -> None:
    """Train those that have no checkpoint yet."""
    recipe = run.recipe.teachers
    for seed in recipe.seeds:
        folder = run.folder / f"teacher-{seed}"
        if (folder / "teacher.safetensors").exists():
            continue
        torch.manual_seed(seed)
        network = teacher.Teacher(recipe.sizes, pretrained=True)
        if run.imagenet and isinstance(network.features, Features):
            network.features.load_imagenet(run.imagenet)
        network = network.to(memory_format=torch.channels_last)  # type: ignore[call-overload]
        examples = Examples(
            [photo.path for photo in sources.training],
            sources.human,
            recipe.sizes.canvas,
            recipe.sizes.grid,
            augment=True,
            seed=seed,
        )
        trained = fit(network, examples, recipe.schedule, folder, run.fabric, seed)
        if run.fabric.is_global_zero:
            teacher.save(trained, folder / "teacher.safetensors")
        run.fabric.barrier()


def main() -> None:
    run = from_command_line("train the teachers")
    train_teachers(run, Sources(run.data))


if __name__ == "__main__":
    main()
