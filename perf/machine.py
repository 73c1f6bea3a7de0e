"""What the figures were measured on, and with."""

import datetime
import os
import platform
import time
from importlib.metadata import version
from pathlib import Path

from perf.timing import cores

PACKAGES = (
    "openvino",
    "onnxruntime",
    "simplejpeg",
    "opencv-contrib-python-headless",
    "numpy",
    "pillow",
)
INSTRUCTIONS = ("avx2", "avx512f", "avx_vnni", "avx512_vnni", "amx_int8", "asimddp")


def busy_cores(seconds: float = 1.0) -> float:
    """How many cores others use just now."""
    idle, total = _ticks()
    time.sleep(seconds)
    idle_later, total_later = _ticks()
    return (1 - (idle_later - idle) / (total_later - total)) * (os.cpu_count() or 1)


def _ticks() -> tuple[int, int]:
    """Idle and all ticks of all cores since the machine started."""
    ticks = [int(value) for value in Path("/proc/stat").read_text().split("\n")[0].split()[1:9]]
    return ticks[3] + ticks[4], sum(ticks)


def describe() -> str:
    """The machine, the day and the versions, in three lines of Markdown."""
    fields = _cpuinfo()
    flags = set(fields.get("flags", fields.get("Features", "")).split())
    instructions = ", ".join(name for name in INSTRUCTIONS if name in flags) or "no vectors"
    name = fields.get("model name", platform.machine())
    family = f", family {fields['cpu family']}" if "cpu family" in fields else ""
    versions = ", ".join(f"{package} {version(package)}" for package in PACKAGES)
    return (
        f"- {cores()} cores of {name}{family} ({instructions}), {platform.system()} "
        f"{platform.release()}\n"
        f"- {datetime.date.today().isoformat()}, Python {platform.python_version()}, "
        f"tritonserver of nvidia-pytriton {version('nvidia-pytriton')}\n"
        f"- {versions}\n"
    )


def _cpuinfo() -> dict[str, str]:
    lines = Path("/proc/cpuinfo").read_text().split("\n\n")[0].splitlines()
    return {name.strip(): value.strip() for name, _, value in (li.partition(":") for li in lines)}
