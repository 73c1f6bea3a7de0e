"""The client's tests on each Python that it supports and this machine has, and on old packages.

make test-pythons    with numpy 1 and 2
make test-lowest     with the lowest versions that pyproject.toml declares

A Python that the machine does not have is skipped. The server that answers the tests runs on the
Python of .venv (`python -m server -- nox …`); tests that start one of their own are left out.
"""

import os
import re

import nox

PROJECT = nox.project.load_toml("pyproject.toml")["project"]
LOWEST_PYTHON = PROJECT["requires-python"].removeprefix(">=")
PYTHONS = [LOWEST_PYTHON, "3.11", "3.12", "3.13"]
NUMPY_1_UNTIL = "3.12"
PORTS = [os.environ.get(f"{name}_PORT", "") for name in ("HTTP", "GRPC", "METRICS")]

nox.options.error_on_missing_interpreters = False
nox.options.reuse_existing_virtualenvs = True


@nox.session(python=PYTHONS)
@nox.parametrize("numpy", ["numpy<2", "numpy>=2"], ids=["numpy1", "numpy2"])
def pythons(session: nox.Session, numpy: str) -> None:
    if numpy == "numpy<2" and PYTHONS.index(str(session.python)) > PYTHONS.index(NUMPY_1_UNTIL):
        session.skip("numpy 1 has no wheels for it")
    _test(session, numpy)


@nox.session(python=LOWEST_PYTHON)
def lowest(session: nox.Session) -> None:
    _test(session, *(re.sub(">=", "==", requirement) for requirement in PROJECT["dependencies"]))


def _test(session: nox.Session, *requirements: str) -> None:
    session.install("--editable", ".", "hypothesis", "pytest", "scikit-image", *requirements)
    session.run(
        "pytest",
        "tests/client",
        "--ignore=tests/client/test_connection.py",
        "--ignore=tests/client/test_recipes.py",
        *session.posargs,
        env={"GAZECROP_SERVER_PORTS": ",".join(PORTS)},
    )
