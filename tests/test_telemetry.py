"""Nothing here tells anybody elsewhere, or leaves the identity that such reports carry."""

import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from server import embedded
from tests.conftest import free_address
from tests.server.test_embedded import environment
from tests.training.samples import write_set, write_weights

ROOT = Path(__file__).parents[1]
CROP = ("-m", "gazecrop", "crop", "docs/photo.jpg", "--ratio", "1:1")
LIBRARIES = "import training.detectors.network, training.networks.predictors, export.parity"
RECIPE = "tests/training/tiny.toml"
DNS = "htons(53)"
LOOPBACK = ("127.0.0.1", "::1", "::ffff:127.0.0.1")


def peers(trace: str) -> set[str]:
    """The addresses that connects and datagrams of a trace name."""
    return set(re.findall(r'inet_(?:addr\(|pton\(AF_INET6, )"([^"]+)"', trace))


Commands = list[tuple[str, ...]]


def server_and_client(address: embedded.Address, folder: Path) -> Commands:
    out = ("--out", str(folder / "crops"), "--server", f"localhost:{address.grpc}")
    return [("-m", "server", "--", sys.executable, *CROP, *out)]


def training(address: embedded.Address, folder: Path) -> Commands:
    """Teachers that learn from tiny photos."""
    write_set(folder / "data" / "squares", photos=12)
    shutil.copytree(folder / "data" / "squares" / "images", folder / "data" / "photos")
    places = {"data": "data", "weights": "weights", "out": "run"}
    options = [part for name in places for part in (f"--{name}", str(folder / places[name]))]
    write_weights(folder / "weights")
    return [("-m", "training", *options, "--recipe", RECIPE, "features", "teachers")]


def export(address: embedded.Address, folder: Path) -> Commands:
    model, out = str(folder / "model.onnx"), str(folder / "model.int8.onnx")
    return [
        ("-m", "export.onnx", "--out", model),
        ("-m", "export.int8", "--model", model, "--out", out),
    ]


def libraries(address: embedded.Address, folder: Path) -> Commands:
    return [("-c", LIBRARIES)]


@pytest.mark.parametrize("what", [server_and_client, training, export, libraries])
def test_none_leaves_this_host(
    what: Callable[[embedded.Address, Path], Commands], tmp_path: Path
) -> None:
    strace = shutil.which("strace")
    if strace is None:
        pytest.skip("strace shows what is called: apt-get install strace")
    address, home, trace = free_address(), tmp_path / "home", tmp_path / "trace"
    home.mkdir()
    calls = "trace=connect,sendto,sendmsg,sendmmsg"
    variables = {
        name: value
        for name, value in environment(address).items()
        if name != "ORT_DISABLE_TELEMETRY"
    }
    for command in what(address, tmp_path):
        subprocess.run(
            [strace, "-f", "--seccomp-bpf", "-e", calls, "-o", trace, sys.executable, *command],
            cwd=ROOT,
            env={**variables, "HOME": str(home), "CORES": "1", "XDG_CACHE_HOME": str(home)},
            check=True,
        )
        called = trace.read_text(errors="replace")
        assert peers(called) <= set(LOOPBACK)
        assert DNS not in called  # which may be on this host
    assert not list(home.iterdir())
