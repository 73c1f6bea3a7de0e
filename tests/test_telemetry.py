"""Nothing here tells anybody elsewhere, or leaves the identity that such reports carry."""

import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import free_address
from tests.server.test_embedded import environment

ROOT = Path(__file__).parents[1]
CROP = (sys.executable, "-m", "gazecrop", "crop", "docs/photo.jpg", "--ratio", "1:1")
LIBRARIES = "import training.detectors.network, training.networks.predictors, export.parity"
LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


def peers(trace: str) -> set[str]:
    """The addresses that connects and datagrams of a trace name."""
    return set(re.findall(r'inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"', trace))


@pytest.mark.parametrize("what", ["server and client", "training and export"])
def test_none_leaves_this_host(what: str, tmp_path: Path) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace shows what is called: apt-get install strace")
    address, home = free_address(), tmp_path / "home"
    home.mkdir()
    command = {
        "server and client": [
            *("-m", "server", "--", *CROP),
            *("--out", str(tmp_path / "crops"), "--server", f"localhost:{address.grpc}"),
        ],
        "training and export": ["-c", LIBRARIES],
    }[what]
    trace = tmp_path / "trace"
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    variables = {
        name: value
        for name, value in environment(address).items()
        if name != "ORT_DISABLE_TELEMETRY"
    }
    subprocess.run(
        [strace, "-f", "--seccomp-bpf", "-e", calls, "-o", trace, sys.executable, *command],
        cwd=ROOT,
        env={**variables, "HOME": str(home), "CORES": "1", "XDG_CACHE_HOME": str(home)},
        check=True,
    )
    assert peers(trace.read_text(errors="replace")) <= set(LOOPBACK)
    assert not list(home.iterdir())
