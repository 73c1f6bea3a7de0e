"""Install Triton's perf_analyzer beside the other packages, once.

    python -m perf.instruments.install

What PyPI has under that name is an empty placeholder. The binary is in tritonclient's wheels up to
2.60, and from 2.59 on it needs a newer glibc than Debian 12 has. It goes into a folder of its own,
since the client needs a newer tritonclient.
"""

import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

TRITONCLIENT = "tritonclient==2.51.0"
HOME = Path(sys.prefix) / "perf_analyzer"
BINARY = HOME / "bin" / "perf_analyzer"
LIBRARIES = HOME / "lib"
BUNDLED = {"libb64.so.0d": "libb64-*", "libcudart.so.12": "libcudart-*"}  # by nvidia-pytriton


def install() -> None:
    pip = [sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check"]
    if not BINARY.is_file():
        subprocess.run([*pip, "--no-deps", "--target", str(HOME), TRITONCLIENT], check=True)
    LIBRARIES.mkdir(exist_ok=True)
    for name, pattern in BUNDLED.items():
        link = LIBRARIES / name
        link.unlink(missing_ok=True)
        link.symlink_to(next(_bundled().glob(pattern)))


def _bundled() -> Path:
    """The libraries that nvidia-pytriton's wheel carries."""
    spec = find_spec("pytriton")  # found, not imported: importing it starts threads
    if spec is None or spec.origin is None:
        sys.exit("error: perf_analyzer needs nvidia-pytriton: pip install --editable '.[perf]'")
    return Path(spec.origin).parents[1] / "nvidia_pytriton.libs"


if __name__ == "__main__":
    install()
