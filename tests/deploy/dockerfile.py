"""Dockerfiles, as far as the tests read them."""

import json
import re
import shlex
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Instruction:
    name: str
    value: str

    def command(self) -> list[str]:
        """Of CMD and HEALTHCHECK in exec form."""
        return list(json.loads(self.value[self.value.index("[") :]))

    def variables(self) -> dict[str, str]:
        """Of ENV."""
        pairs = (word.partition("=") for word in shlex.split(self.value))
        return {name: value for name, _, value in pairs}

    def words(self) -> list[str]:
        """Of COPY, without its options."""
        return [word for word in shlex.split(self.value) if not word.startswith("--")]


def read(path: Path) -> list[Instruction]:
    text = re.sub(r"^\s*#.*\n", "", path.read_text("utf-8"), flags=re.MULTILINE)
    lines = text.replace("\\\n", " ").splitlines()
    split = [line.split(maxsplit=1) for line in lines if line.strip()]
    return [Instruction(name, value.strip()) for name, value in split]


def stage(instructions: list[Instruction], name: str) -> list[Instruction]:
    """Those of a stage, after those of the stages that it begins from."""
    stages: dict[str, list[Instruction]] = {}
    current: list[Instruction] = []
    for each in instructions:
        if each.name == "FROM":
            base, *_, alias = each.value.split()
            current = stages[alias] = list(stages.get(base, []))
        current.append(each)
    return stages[name]


def last(instructions: list[Instruction], name: str) -> Instruction:
    return [each for each in instructions if each.name == name][-1]
