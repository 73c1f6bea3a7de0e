import re
from pathlib import Path

import pytest

from training.stages.recipe import RECIPE, read


def test_the_shipped_recipe_is_read() -> None:
    recipe = read(RECIPE)
    assert recipe.shipped_gmac in recipe.pruning.gmac
    assert recipe.teachers.schedule.steps > 0
    assert recipe.student.blocks[0].hidden == recipe.student.stem


SCHEDULE = "schedule = { steps = 480, crops = 0.15, rate = 2e-3, features_rate = 3e-4 }"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed = 0", "sead = 0"), "line 2: sead: unknown"),
        (("shipped_gmac", "# shipped_gmac"), "shipped_gmac"),
        (
            ("[distillation]\nsteps", "[distillation]\nstops"),
            "line {}: distillation.stops: unknown",
        ),
        (("seed = 0", "seed = 0.5"), "line 2: seed: a whole number is needed, not 0.5"),
        (("seed = 0", "seed = true"), "line 2: seed: a whole number is needed, not True"),
        (("seeds = [0, 1, 2]", "seeds = 0"), "line {}: teachers.seeds: an array is needed"),
        (("steps = 480", "steps = '480'"), "line {}: teachers.schedule.steps: a whole number"),
        (
            ('criterion = "fisher per operation"', 'criterion = "best"'),
            "line {}: pruning.criterion: 'best'",
        ),
        ((SCHEDULE, "schedule = 480"), "line {}: teachers.schedule: a table is needed"),
        (("shipped_gmac = 0.15", "shipped_gmac = 0.16"), "line {}: shipped_gmac: not among"),
        (("[teachers]", "[teachers"), "line"),
    ],
)
def test_a_mistake_in_a_recipe_is_named(
    tmp_path: Path, change: tuple[str, str], message: str
) -> None:
    path = tmp_path / "recipe.toml"
    text = RECIPE.read_text(encoding="utf-8")
    assert change[0] in text
    changed = text.replace(*change)
    path.write_text(changed, encoding="utf-8")
    place = changed.index(change[1])
    place += max(change[1].find("\n") + 1, 0) if "stops" in change[1] else 0
    line = changed.count("\n", 0, place) + 1
    with pytest.raises(ValueError, match=re.escape(message.format(line))) as raised:
        read(path)
    assert str(path) in str(raised.value)
