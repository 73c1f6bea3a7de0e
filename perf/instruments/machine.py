"""What the figures were measured on, and with."""

import datetime
import platform
from dataclasses import dataclass
from importlib.metadata import version

import cpuinfo  # type: ignore[import-untyped]
import psutil

from perf.instruments.timing import cores

PACKAGES = (
    "nvidia-pytriton",
    "openvino",
    "onnxruntime",
    "simplejpeg",
    "opencv-contrib-python-headless",
    "numpy",
    "pillow",
)
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp")


@dataclass(frozen=True)
class Machine:
    """Where and when something was measured.

    Attributes:
        cores: that the measurements could use.
        versions: of the packages that decide how fast it is.
    """

    cores: int
    processor: str
    instructions: list[str]
    system: str
    date: str
    python: str
    versions: dict[str, str]

    def markdown(self) -> str:
        """Three lines of Markdown."""
        versions = ", ".join(f"{name} {number}" for name, number in self.versions.items())
        return (
            f"- {self.cores} cores of {self.processor} ({', '.join(self.instructions)}), "
            f"{self.system}\n"
            f"- {self.date}, Python {self.python}\n"
            f"- {versions}\n"
        )


def this_machine() -> Machine:
    cpu = cpuinfo.get_cpu_info()
    return Machine(
        cores=cores(),
        processor=cpu.get("brand_raw", platform.machine()),
        instructions=[name for name in INSTRUCTIONS if name in cpu.get("flags", ())],
        system=f"{platform.system()} {platform.release()}",
        date=datetime.date.today().isoformat(),
        python=platform.python_version(),
        versions={package: version(package) for package in PACKAGES},
    )


def busy_cores(seconds: float = 1.0) -> float:
    """How many cores others use just now."""
    share: float = psutil.cpu_percent(seconds)
    return share / 100 * (psutil.cpu_count() or 1)
