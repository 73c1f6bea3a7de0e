"""Where the detectors' weights lie: in packages that are never imported (see `packages.txt`)."""

import sys
from importlib.metadata import distributions
from pathlib import Path

FOLDER = Path(sys.prefix) / "detectors"  # where `make detectors` puts the packages


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
