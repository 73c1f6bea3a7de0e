from pathlib import Path

import pytest

from training.stages.recipe import RECIPE, read


def test_the_shipped_recipe_is_read() -> None:
    recipe = read(RECIPE)
    assert recipe.shipped_gmac in recipe.pruning.gmac
    assert recipe.teachers.schedule.steps > 0
    assert recipe.student.blocks[0].hidden == recipe.student.stem


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed = 0", "sead = 0"), "unknown sead"),
        (("shipped_gmac", "# shipped_gmac"), "shipped_gmac"),
        (("[distillation]\nsteps", "[distillation]\nstops"), "distillation: unknown stops"),
    ],
)
def test_a_mistake_in_a_recipe_is_named(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(RECIPE.read_text("utf-8").replace(*change))
    with pytest.raises(ValueError, match=message):
        read(path)
