import re
from pathlib import Path

import pytest

from training.stages.recipe import RECIPE, read


def test_the_shipped_recipe_is_read() -> None:
    recipe = read(RECIPE)
    assert recipe.shipped_milliseconds in recipe.pruning.milliseconds
    assert recipe.teachers.schedule.steps > 0
    assert recipe.student.blocks[0].hidden == recipe.student.stem


SCHEDULE = "schedule = { steps = 480, rate = 1.5e-3, weight_decay = 0.0, average = 0.99 }"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (("seed = 0", "sead = 0"), "line 5: sead: unknown"),
        (("shipped_milliseconds", "# shipped_milliseconds"), "shipped_milliseconds"),
        (
            ("[distillation]\nsteps", "[distillation]\nstops"),
            "line {}: distillation.stops: unknown",
        ),
        (("seed = 0", "seed = 0.5"), "line 5: seed: a whole number is needed, not 0.5"),
        (("seed = 0", "seed = true"), "line 5: seed: a whole number is needed, not True"),
        (("seeds = [21, 22]", "seeds = 21"), "line {}: averaging.seeds: an array is needed"),
        (("steps = 480", "steps = '480'"), "line {}: teachers.schedule.steps: a whole number"),
        (
            ('criterion = "fisher per millisecond"', 'criterion = "best"'),
            "line {}: pruning.criterion: 'best'",
        ),
        ((SCHEDULE, "schedule = 480"), "line {}: teachers.schedule: a table is needed"),
        (
            ("shipped_milliseconds = 3.3", "shipped_milliseconds = 3.8"),
            "line {}: shipped_milliseconds: not among",
        ),
        (("folds = 3", "folds = 1"), "line {}: teachers.folds: at least 2"),
        (
            ('backbone = "efficientnet_lite0"', 'backbone = "mobilenet_v2"'),
            "teachers.members: each backbone at most once",
        ),
        (('backbone = "mobilenet_v2"', 'backbone = "vgg"'), "'vgg' is none of"),
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
