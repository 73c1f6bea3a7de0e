"""Start and stop a tritonserver that comes from PyPI packages alone.

`nvidia-pytriton` carries the server and its Python backend. The `onnxruntime` backend is our
own (see `server/backends`), under the native one's name, so that the model repository here
is the one that NVIDIA's container loads.
"""

import contextlib
import ctypes
import dataclasses
import functools
import importlib.util
import os
import resource
import shutil
import signal
import socket
import subprocess
import sys
import sysconfig
import tempfile
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from server import health, lack_of_room, leftovers, region_names, request_size
from server.errors import ServerError as ServerError

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
NO_TELEMETRY = {"ORT_DISABLE_TELEMETRY": "1"}  # of onnxruntime, to its makers
COMPLETE = "--disable-auto-complete-config"  # else each model's first process only reads it
READY_SECONDS = 60
STOP_SECONDS = 15
STANDARD_ERROR = 2
PR_SET_PDEATHSIG = 1  # of linux/prctl.h
# Ends a process group when nobody holds the other end of its input, as where we were killed.
GUARD = 'read -r _; kill -s KILL -- "-$0"'
_LIBC = ctypes.CDLL(None)


@dataclass(frozen=True)
class Address:
    """Where the server listens."""

    host: str = "127.0.0.1"
    http: int = 8000
    grpc: int = 8001
    metrics: int = 8002

    def resolved(self) -> "Address":
        """The same with the host's number, IPv4 where it has one: Triton listens on no names.

        Raises:
            ServerError: this is no host.
        """
        try:
            found = socket.getaddrinfo(self.host, None, type=socket.SOCK_STREAM)
        except OSError as error:
            raise ServerError(
                f"cannot listen on {self.host!r} ({error.strerror}): BIND_ADDRESS is an address "
                "or a name of this host"
            ) from error
        *_, address = min(found, key=lambda each: each[0] != socket.AF_INET)
        return dataclasses.replace(self, host=str(address[0]))

    @property
    def is_ipv6(self) -> bool:
        return ":" in self.host

    def serves_saliency(self) -> bool:
        """Whether a Triton there predicts."""
        with contextlib.suppress(health.NoPrediction):
            health.predict(self.host, self.http)
            return True
        return False

    def is_ready(self) -> bool:
        """Whether a Triton there has loaded all of its models."""
        with contextlib.suppress(health.NoPrediction):
            return health.ask(self.host, self.http, "GET", "health/ready", timeout=2)[0] == 200
        return False


@contextlib.contextmanager
def run(
    address: Address,
    model_repository: Path | None = None,
    log: IO[str] | None = None,
    options: tuple[str, ...] = (),
    cores: int | None = None,
) -> Iterator[subprocess.Popen[bytes]]:
    """Serve models until the block ends, and then end at once; entered when the server is ready.

    Args:
        address: where to listen.
        model_repository: a folder of models, served as it is; by default the shipped ones, with
            as many instances as suit the cores and /dev/shm.
        log: where Triton's log goes; by default to this process's standard error.
        options: more of tritonserver's own command-line options.
        cores: of this host, to suit; by default those that this process may use.

    Raises:
        ServerError: a package is missing, a port is taken, or a model does not load.
    """
    with prepare(address, model_repository, log, options, cores) as triton:
        try:
            yield triton.start()
        finally:
            triton.kill()  # nobody waits for an answer; to unload its models, Triton takes 5 s


@dataclass
class Triton:
    """A tritonserver that can be started, again and again.

    Attributes:
        models: the model repository that it serves.
        name: how its files in /tmp and /dev/shm begin.
        region: bytes that a process of it may take in /dev/shm, if bounded.
    """

    address: Address
    models: Path
    name: str
    command: list[str]
    log: IO[str] | None
    region: int | None
    process: subprocess.Popen[bytes] | None = None
    _guard: subprocess.Popen[bytes] | None = None
    _copy: threading.Thread | None = None

    def start(self) -> subprocess.Popen[bytes]:
        """Start, and wait until all models are ready.

        Raises:
            ServerError: they do not get ready.
        """
        with _without_environments():
            process = self._begin()
            _wait_until_ready(process, self.address)
        return process

    def _begin(self) -> subprocess.Popen[bytes]:
        self.process = subprocess.Popen(
            self.command,
            env=_environment(),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,  # Ctrl-C reaches us alone; we then stop it in order
            restore_signals=False,  # SIGXFSZ stays ignored: what is too large fails
            preexec_fn=functools.partial(_bind, os.getpid(), self.region),
        )
        # Its children outlive it where they wait for a lock that it held.
        self._guard = subprocess.Popen(
            ["sh", "-c", GUARD, str(self.process.pid)],
            stdin=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            start_new_session=True,
        )
        # Its log may outgrow what its files may, so that we write it.
        self._copy = threading.Thread(target=_copy_log, args=(self.process, self.log), daemon=True)
        self._copy.start()
        return self.process

    def stop(self) -> None:
        """Let requests in flight finish; then make sure that nothing of its session is left."""
        if self.process is not None:
            self.process.terminate()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self.process.wait(STOP_SECONDS)
            self.kill()

    def kill(self) -> None:
        if self.process is None:
            return
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self.process.pid, signal.SIGKILL)
        self.process.wait()
        if self._guard is not None:  # as where a signal came between the two
            self._guard.communicate()
        if self._copy is not None:
            self._copy.join(1)
        leftovers.remove(leftovers.SHARED_MEMORY, self.name, keep_lock=True)


@contextlib.contextmanager
def prepare(
    address: Address,
    model_repository: Path | None = None,
    log: IO[str] | None = None,
    options: tuple[str, ...] = (),
    cores: int | None = None,
) -> Iterator[Triton]:
    """What `run` starts, not yet started; its files are there until the block ends.

    Raises:
        ServerError: a package is missing, a port is taken, or there is too little room.
    """
    check_packages()
    address = address.resolved()
    _check_ports(address)
    with contextlib.ExitStack() as stack:
        try:
            name = stack.enter_context(leftovers.claim())
            folder = Path(tempfile.gettempdir()) / name
            folder.mkdir()
            backends, binary = _assemble_backends(folder), _assemble_binary(folder)
        except OSError as error:
            raise ServerError(
                f"cannot write {error.filename}: {error.strerror}; "
                "make room in /tmp and in /dev/shm, and let this user write there"
            ) from error
        region = None
        if model_repository is None:
            from server import instances, room  # which need packages that may be missing

            cached = any(option.startswith("--cache-config") for option in options)
            suited, region = room.share(cores or instances.usable_cores())
            models = instances.with_instances(MODEL_REPOSITORY, folder, suited, cached)
            options = (*options, COMPLETE)
        else:  # by a link, since Triton's Python backend dies of a space in a path
            models = folder / "given"
            models.symlink_to(model_repository.resolve())
        command = [str(binary), *_options(address, models, backends, name), *options]
        yield Triton(address, models, name, command, log, region)


def check_packages() -> None:
    """Raises ServerError: one is missing, or does not work here."""
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
        family = socket.AF_INET6 if address.is_ipv6 else socket.AF_INET
        with socket.socket(family) as probe:
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
    region_names.hide(backends / "python" / stub.name)
    region_names.hide(backends / "python" / "libtriton_python.so")
    lack_of_room.name(backends / "python" / "libtriton_python.so")
    shutil.copytree(BACKENDS, backends, dirs_exist_ok=True)
    return backends


def _assemble_binary(folder: Path) -> Path:
    from server import instances  # which needs packages that may be missing

    binary = folder / "tritonserver"
    shutil.copy(_triton() / "bin" / "tritonserver", binary)
    request_size.bound(binary, instances.REQUEST)
    return binary


def _triton() -> Path:
    spec = importlib.util.find_spec("pytriton")  # found, not imported: importing it starts threads
    assert spec is not None
    assert spec.origin is not None
    return Path(spec.origin).parent / "tritonserver"


def _options(address: Address, model_repository: Path, backends: Path, name: str) -> list[str]:
    # Triton's gRPC and HTTP servers each have their own way to write an IPv6 address.
    grpc, http = (
        (f"[{address.host}]", f"ipv6:{address.host}") if address.is_ipv6 else (address.host,) * 2
    )
    return [
        f"--model-repository={model_repository}",
        f"--backend-directory={backends}",
        f"--cache-directory={_triton() / 'caches'}",
        f"--http-address={http}",
        f"--http-port={address.http}",
        f"--grpc-address={grpc}",
        f"--grpc-port={address.grpc}",
        f"--metrics-address={http}",
        f"--metrics-port={address.metrics}",
        "--allow-gpu-metrics=false",
        "--pinned-memory-pool-byte-size=0",
        "--log-info=0",
        "--exit-timeout-secs=10",
        leftovers.region_prefix(name),
    ]


def _environment() -> dict[str, str]:
    """The Python backend runs the first `python3` on PATH and needs its shared library."""
    libraries = [_triton().parents[1] / "nvidia_pytriton.libs", sysconfig.get_config_var("LIBDIR")]
    inherited = os.environ.get("LD_LIBRARY_PATH")
    return {
        **os.environ,
        **NO_TELEMETRY,
        # What a large upload took goes back at once; the rest is kept, since taking it anew for
        # each photo costs a tenth of the throughput in page faults. Two arenas are enough for all
        # threads, of which few allocate at once; eight a core keep more and serve no faster.
        "MALLOC_ARENA_MAX": "2",
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


def _bind(parent: int, region: int | None) -> None:
    """In the process that becomes tritonserver: end with its parent, and bound its files."""
    _LIBC.prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    if os.getppid() != parent:  # which has ended before
        os._exit(1)
    if region is not None:
        resource.setrlimit(resource.RLIMIT_FSIZE, (region, region))


@contextlib.contextmanager
def _without_environments() -> Iterator[None]:
    """Remove the folders that Triton makes for models with environments of their own.

    It makes one for each backend in Python, used or not, and leaves it there when it is killed.
    """

    def made() -> set[Path]:
        return set(Path("/tmp").glob("python_env_*"))  # Triton heeds no TMPDIR

    before = made()
    try:
        yield
    finally:
        for folder in made() - before:
            with contextlib.suppress(OSError):  # it is used, or of another
                folder.rmdir()


def _copy_log(process: subprocess.Popen[bytes], log: IO[str] | None) -> None:
    target = STANDARD_ERROR if log is None else log.fileno()
    assert process.stdout is not None
    with process.stdout as source:
        while lines := os.read(source.fileno(), 2**16):
            with contextlib.suppress(OSError):  # a full disk is no reason to stop
                os.write(target, lines)
