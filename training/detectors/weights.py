"""Where the detectors' weights lie: in packages that are never imported (see `packages.txt`)."""

import sys
from importlib.metadata import distributions
from pathlib import Path

FOLDER = Path(sys.prefix) / "detectors"  # where `make detectors` puts the packages


def check_installed() -> None:
    """Look whether all packages are there.

    Raises:
        FileNotFoundError: one is not; says how to get it.
    """
    listed = Path(__file__).with_name("packages.txt").read_text().splitlines()
    wanted = {line.split("==")[0].strip() for line in listed if line and line[0] != "#"}
    for package in sorted(wanted):
        if not any(distributions(name=package, path=[str(FOLDER)])):
            raise FileNotFoundError(f"{FOLDER} lacks {package}: `make detectors` installs it")


def packaged_file(package: str, name: str) -> Path:
    """The file of that name in a package.

    Raises:
        FileNotFoundError: the package is not there, or has no such file; says how to get it.
    """
    for distribution in distributions(name=package, path=[str(FOLDER)]):
        for file in distribution.files or []:
            if file.name == name:
                return Path(str(file.locate()))
    raise FileNotFoundError(
        f"{FOLDER} lacks {name} of the package {package}: `make detectors` installs "
        "what finds heads and text in the photos"
    )
