"""What a reader of the package's help, or a tool that reads its types, finds."""

import inspect
import pydoc
import typing
from collections.abc import Callable, Iterator
from importlib import metadata
from typing import Any

import gazecrop
import pytest


def public_functions() -> Iterator[tuple[str, Callable[..., Any]]]:
    for name in gazecrop.__all__:
        thing = getattr(gazecrop, name)
        if inspect.isfunction(thing):
            yield name, thing
        elif inspect.isclass(thing) and thing.__module__.startswith("gazecrop"):
            for member, function in inspect.getmembers(thing, inspect.isfunction):
                if not member.startswith("_") and function.__module__.startswith("gazecrop"):
                    yield f"{name}.{member}", function


FUNCTIONS = dict(public_functions())


@pytest.mark.parametrize("function", FUNCTIONS.values(), ids=FUNCTIONS)
def test_the_types_of_every_public_function_resolve(function: Callable[..., Any]) -> None:
    assert set(typing.get_type_hints(function)) >= set(inspect.signature(function).parameters) - {
        "self"
    }


@pytest.mark.parametrize("name", [*gazecrop.__all__, *FUNCTIONS])
def test_everything_public_is_documented_and_names_nothing_private(name: str) -> None:
    thing = FUNCTIONS.get(name) or getattr(gazecrop, name)
    if not callable(thing):
        return
    documentation = inspect.getdoc(thing)
    assert documentation
    assert "gazecrop._" not in documentation


@pytest.mark.parametrize("client", [gazecrop.Client, gazecrop.AsyncClient])
def test_the_help_of_a_client_explains_every_argument(client: type) -> None:
    shown = pydoc.plain(pydoc.render_doc(client))
    settings = set(inspect.signature(client).parameters)
    assert settings
    for argument in settings:
        assert f"{argument}: " in shown


def test_the_help_of_crop_names_every_option() -> None:
    for function in (gazecrop.Client.crop, gazecrop.Saliency.crop):
        documentation = inspect.getdoc(function)
        for option in gazecrop.CropOptions.__annotations__:
            assert option in documentation
            assert f"{option}: " in inspect.getdoc(gazecrop.CropOptions)


def test_the_version_is_that_of_the_installed_package() -> None:
    assert gazecrop.__version__ == metadata.version("gazecrop")
