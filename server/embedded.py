"""Start and stop a tritonserver that comes from PyPI packages alone.

`nvidia-pytriton` carries the server and its Python backend. The `onnxruntime` backend is our
own (see `server/backends`), under the native one's name, so that the model repository here
is the one that NVIDIA's container loads.
"""

import contextlib
import importlib.util
import os
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

MODEL_REPOSITORY = Path(__file__).parents[1] / "model_repository"
BACKENDS = Path(__file__).parent / "backends"
PACKAGES = {  # import name → distribution, of all that the server and its models import
    "cv2": "opencv-contrib-python-headless",
    "gazecrop": "gazecrop",
    "numpy": "numpy",
    "onnxruntime": "onnxruntime",
    "openvino": "openvino",
    "PIL": "pillow",
    "_libvips": "pyvips-binary",
    "pillow_heif": "pillow-heif",
    "pytriton": "nvidia-pytriton",
    "pyvips": "pyvips",
    "simplejpeg": "simplejpeg",
    "tritonclient": "tritonclient[grpc]",
}
READY_SECONDS = 60
STOP_SECONDS = 15


class ServerError(Exception):
    """The server cannot start, or has stopped; the message says what to do."""


@dataclass(frozen=True)
class Address:
    """Where the server listens."""

    host: str = "127.0.0.1"
    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002

    def serves_saliency(self) -> bool:
        """Whether a Triton there answers predictions."""
        return self._is_ready("models/saliency/ready")

    def is_ready(self) -> bool:
        """Whether a Triton there has loaded all of its models."""
        return self._is_ready("health/ready")

    def _is_ready(self, what: str) -> bool:
        url = f"http://{self.host}:{self.http}/v2/{what}"
        try:
            with urllib.request.urlopen(url, timeout=2) as response:
                return bool(response.status == 200)
        except (urllib.error.URLError, OSError):
            return False


@contextlib.contextmanager
def run(
    address: Address,
    model_repository: Path | None = None,
    log: IO[str] | None = None,
    options: tuple[str, ...] = (),
    cores: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Serve models until the block ends; entered when the server is ready.

    Args:
        address: where to listen.
        model_repository: a folder of models, served as it is; by default the shipped ones, with
            as many instances as suit the cores.
        log: where Triton's log goes; by default to this process's standard error.
        options: more of tritonserver's own command-line options.
        cores: of this host, to suit; by default those that this process may use.

    Raises:
        ServerError: a package is missing, a port is taken, or a model does not load.
    """
    _check_packages()
    _check_ports(address)
    with tempfile.TemporaryDirectory(prefix="gazecrop-") as folder:
        backends = _assemble_backends(Path(folder))
        if model_repository is None:
            cached = any(option.startswith("--cache-config") for option in options)
            model_repository = _shipped_models(Path(folder), cores, cached)
        else:  # by a link, since Triton's Python backend dies of a space in a path
            given = Path(folder) / "given"
            given.symlink_to(model_repository.resolve())
            model_repository = given
        process = subprocess.Popen(
            [*_command(address, model_repository, backends), *options],
            env=_environment(),
            stdout=log,
            stderr=log,
            start_new_session=True,  # Ctrl-C reaches us alone; we then stop it in order
        )
        try:
            _wait_until_ready(process, address)
            yield process
        finally:
            _stop(process)


def _check_packages() -> None:
    missing = [name for module, name in PACKAGES.items() if not importlib.util.find_spec(module)]
    if missing:
        raise ServerError(
            f"missing packages: {', '.join(missing)}. "
            "Install them in the checkout: pip install --editable '.[server]'"
        )
    import numpy

    if int(numpy.__version__.split(".")[0]) >= 2:
        # Triton 2.51's Python backend silently corrupts tensors with numpy 2.
        raise ServerError(
            f"numpy {numpy.__version__} does not work with this Triton; "
            "install the server's own: pip install 'numpy<2'"
        )


def _check_ports(address: Address) -> None:
    ports = {"HTTP": address.http, "GRPC": address.grpc, "METRICS": address.metrics}
    for name, port in ports.items():
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((address.host, port))
            except OSError as error:
                raise ServerError(
                    f"cannot listen on {address.host}:{port} ({error.strerror}); "
                    f"choose another port with {name}_PORT"
                ) from error


def _assemble_backends(folder: Path) -> Path:
    """The backend folder that tritonserver expects; it refuses links that lead out of it."""
    triton = _triton()
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    stub = triton / "python_backend_stubs" / version / "triton_python_backend_stub"
    if not stub.is_file():
        raise ServerError(f"nvidia-pytriton has no Python backend for Python {version}")
    backends = folder / "backends"
    shutil.copytree(triton / "backends" / "python", backends / "python")
    shutil.copy(stub, backends / "python")
    (backends / "python" / stub.name).chmod(0o755)
    shutil.copytree(BACKENDS, backends, dirs_exist_ok=True)
    return backends


def _shipped_models(folder: Path, cores: int | None, cached: bool) -> Path:
    from server import instances  # which needs packages that may be missing

    suited = instances.suited_to(cores or instances.usable_cores())
    return instances.with_instances(MODEL_REPOSITORY, folder, suited, cached)


def _triton() -> Path:
    spec = importlib.util.find_spec("pytriton")  # found, not imported: importing it starts threads
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "tritonserver"


def _command(address: Address, model_repository: Path, backends: Path) -> list[str]:
    return [
        str(_triton() / "bin" / "tritonserver"),
        f"--model-repository={model_repository}",
        f"--backend-directory={backends}",
        f"--cache-directory={_triton() / 'caches'}",
        f"--http-address={address.host}",
        f"--http-port={address.http}",
        f"--grpc-address={address.host}",
        f"--grpc-port={address.grpc}",
        f"--metrics-address={address.host}",
        f"--metrics-port={address.metrics}",
        "--allow-gpu-metrics=false",
        "--pinned-memory-pool-byte-size=0",
        "--log-info=0",
        "--exit-timeout-secs=10",
    ]


def _environment() -> dict[str, str]:
    """The Python backend runs the first `python3` on PATH and needs its shared library."""
    libraries = [_triton().parents[1] / "nvidia_pytriton.libs", sysconfig.get_config_var("LIBDIR")]
    inherited = os.environ.get("LD_LIBRARY_PATH")
    return {
        **os.environ,
        # What a large upload took goes back at once; the rest is kept, since taking it anew for
        # each photo costs a tenth of the throughput in page faults.
        "MALLOC_MMAP_THRESHOLD_": str(2**20),
        "MALLOC_TRIM_THRESHOLD_": str(2**24),
        "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}",
        "LD_LIBRARY_PATH": os.pathsep.join(
            [*map(str, libraries), *([inherited] if inherited else [])]
        ),
    }


def _wait_until_ready(process: subprocess.Popen[bytes], address: Address) -> None:
    deadline = time.monotonic() + READY_SECONDS
    while not address.is_ready():
        if process.poll() is not None:
            raise ServerError(
                f"tritonserver stopped with status {process.returncode} before it was ready; "
                "its log says why"
            )
        if time.monotonic() > deadline:
            raise ServerError(f"tritonserver was not ready within {READY_SECONDS} s")
        time.sleep(0.1)


def _stop(process: subprocess.Popen[bytes]) -> None:
    """Let requests in flight finish; then make sure that nothing of its session is left."""
    process.terminate()
    try:
        process.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        pass
    finally:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()
