"""The export to TensorRT, with stand-ins for the driver, CUDA and TensorRT itself."""

import importlib
import importlib.metadata
import importlib.util
import json
import os
import re
import shutil
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import onnx
import pytest

from export.fp16 import to_fp16
from export.parity import MODEL, canvas_of, densities, largest_move, sample_batch
from export.tensorrt import __main__ as command
from export.tensorrt import machine
from export.tensorrt.machine import EngineError, Gpu
from export.tensorrt.plan import PlanInfo, beside, misfits, outdated, sha256
from tests.export import fake_nvidia
from tests.export.fake_nvidia import H100, Driver, TensorRT, libraries, nvinfer

Run = Callable[..., None]
INFO = PlanInfo(
    tensorrt="11.4.0.106",
    gpu="NVIDIA H100",
    compute_capability="9.0",
    precision="fp16",
    max_batch=64,
    hardware_compatible=False,
    model_sha256="",
)
ROOT = Path(__file__).parents[2]
CANVAS = canvas_of(onnx.load(MODEL))
A10 = Gpu("NVIDIA A10", "8.6")


@pytest.fixture
def trt(monkeypatch: pytest.MonkeyPatch) -> Iterator[TensorRT]:
    """A machine with an H100, TensorRT 11.4.0 and its Python package; a short stopwatch."""
    fake, runtime = TensorRT(), fake_nvidia.cuda_runtime()
    bindings = ModuleType("cuda.bindings")
    bindings.runtime = runtime  # type: ignore[attr-defined]
    modules = {"tensorrt": fake, "cuda": ModuleType("cuda"), "cuda.bindings": bindings}
    for name, module in {**modules, "cuda.bindings.runtime": runtime}.items():
        monkeypatch.setitem(sys.modules, name, module)
    found = libraries(libcuda=Driver(H100), libnvinfer=nvinfer(110400))
    monkeypatch.setattr(machine.ctypes, "CDLL", found)
    engine = importlib.import_module("export.tensorrt.engine")
    monkeypatch.setattr(engine, "RUNS", 1)
    monkeypatch.setattr(engine, "WARM_UP", 0)
    make = importlib.import_module("export.tensorrt.make")
    monkeypatch.setattr(make, "TIMED_BATCHES", (1, 8))
    yield fake
    for name in ("build", "engine", "make"):  # each test imports them with its own stand-ins
        sys.modules.pop(f"export.tensorrt.{name}", None)
    assert not runtime.memory  # type: ignore[attr-defined]


@pytest.fixture
def version(tmp_path: Path) -> Path:
    """The folder of a model's version in a repository, with the ONNX."""
    folder = tmp_path / "student" / "1"
    folder.mkdir(parents=True)
    shutil.copy(MODEL, folder / "model.onnx")
    return folder


@pytest.fixture
def run(version: Path, monkeypatch: pytest.MonkeyPatch) -> Run:
    """The command, on that folder."""

    def run(*arguments: str) -> None:
        plan = str(version / "model.plan")
        monkeypatch.setattr(sys, "argv", ["export.tensorrt", "--out", plan, *arguments])
        command.main()

    return run


def fails(run: Run, *arguments: str) -> str:
    """What the command says as it fails."""
    with pytest.raises(SystemExit) as stopped:
        run(*arguments)
    assert isinstance(stopped.value.code, str)
    return stopped.value.code


# A build


@pytest.mark.parametrize("precision", ["fp16", "fp32"])
def test_an_engine_is_built_proven_written_and_timed(
    trt: TensorRT, run: Run, version: Path, capsys: pytest.CaptureFixture[str], precision: str
) -> None:
    run("--precision", precision)
    plan = version / "model.plan"
    assert sorted(path.name for path in version.iterdir()) == [
        "model.onnx",
        "model.plan",
        "model.plan.json",
    ]
    expected = onnx.load(MODEL)
    batch = sample_batch(CANVAS)
    in_precision = to_fp16(expected) if precision == "fp16" else expected
    reference = densities(in_precision.SerializeToString(), *batch)
    assert largest_move(densities(plan, *batch), reference) < 1e-3
    assert json.loads(beside(plan).read_text()) == {
        "tensorrt": "11.4.0.106",
        "gpu": "NVIDIA H100",
        "compute_capability": "9.0",
        "precision": precision,
        "max_batch": 64,
        "hardware_compatible": False,
        "model_sha256": sha256(MODEL),
    }
    printed = capsys.readouterr().out
    assert "of a photo's density moved" in printed
    assert "batch  1:   8.000 ms,       125 photos/s" in printed
    assert "batch  8:   8.000 ms,     1,000 photos/s" in printed


def test_the_network_is_strongly_typed_and_its_batch_dynamic(trt: TensorRT, run: Run) -> None:
    run()
    assert trt.network_flags == 1 << trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED
    assert trt.profile == {
        "PIXELS": [(size, CANVAS, CANVAS, 3) for size in (1, 16, 64)],
        "EXTENT": [(size, 2) for size in (1, 16, 64)],
    }
    assert trt.config.hardware_compatibility_level is None


def test_a_plan_for_all_gpus_says_so(trt: TensorRT, run: Run, version: Path) -> None:
    run("--hardware-compatible")
    assert trt.config.hardware_compatibility_level == trt.HardwareCompatibilityLevel.AMPERE_PLUS
    assert PlanInfo.read(version / "model.plan").hardware_compatible


def test_the_bindings_alone_will_do(
    trt: TensorRT, run: Run, version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt_bindings", trt)
    monkeypatch.setitem(sys.modules, "tensorrt", None)  # cannot be imported
    machine.load_tensorrt()
    assert sys.modules["tensorrt"] is trt


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_tensorrt_gets_pixels_that_are_cast_before_all_else(precision: str) -> None:
    """Its uint8 inputs may be cast and nothing else (NVIDIA/TensorRT, issue 3985)."""
    model = onnx.load(MODEL)
    model = to_fp16(model) if precision == "fp16" else model
    assert {node.op_type for node in model.graph.node if "PIXELS" in node.input} == {"Cast"}


def test_an_interrupt_ends_the_build(
    trt: TensorRT, run: Run, version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    answers = []

    def on_build(monitor: Any) -> None:
        monitor.phase_start("Building", None, 10)
        monitor.phase_start("Tactics", "Building", 5)
        answers.append(monitor.step_complete("Tactics", 0))
        monkeypatch.setattr(monitor.progress, "update", interrupt)
        answers.append(monitor.step_complete("Tactics", 1))
        monitor.phase_finish("Tactics")
        monitor.phase_finish("Tactics")  # a name may come twice; nothing may be raised

    def interrupt(*arguments: object, **options: object) -> None:
        raise KeyboardInterrupt

    trt.on_build = on_build
    with pytest.raises(KeyboardInterrupt):
        run()
    assert answers == [True, False]
    assert not (version / "model.plan").exists()


# Failures of a build: each leaves the previous plan as it was


def test_a_build_that_fails_says_why(trt: TensorRT, run: Run, version: Path) -> None:
    (version / "model.plan").write_bytes(b"the previous one")
    trt.build_error = "Could not find any implementation for node {Conv}"
    assert "built no engine: Could not find any implementation" in fails(run)
    assert (version / "model.plan").read_bytes() == b"the previous one"


@pytest.mark.parametrize(
    "reason",
    [
        "Error Code 1: Cuda Runtime (out of memory)",
        "Error Code 2: OutOfMemory (Requested size was 4294967296 bytes.)",
        "Could not find any implementation for node {Conv} due to insufficient workspace",
    ],
)
def test_memory_that_runs_out_says_who_else_uses_it(trt: TensorRT, run: Run, reason: str) -> None:
    trt.build_error = reason
    said = fails(run)
    assert "ran out of memory during the build: stop what else uses this GPU" in said
    assert reason in said


def test_an_engine_that_computes_something_else_is_refused(
    trt: TensorRT, run: Run, version: Path
) -> None:
    (version / "model.plan").write_bytes(b"the previous one")
    trt.distort = lambda density: np.ascontiguousarray(density[:, ::-1])
    assert re.search(r"moves \d+\.\d\d% of a photo's density; in fp16 1\.00% is", fails(run))
    assert (version / "model.plan").read_bytes() == b"the previous one"
    assert not beside(version / "model.plan").exists()


def test_an_engine_whose_integrity_is_something_else_is_refused(
    trt: TensorRT, run: Run, version: Path
) -> None:
    (version / "model.plan").write_bytes(b"the previous one")
    trt.distorted = {"INTEGRITY"}
    trt.distort = lambda integrity: np.ascontiguousarray(1 - integrity)
    assert re.search(r"integrity differs by 0\.\d+ a cell; in fp16 0\.01 is", fails(run))
    assert (version / "model.plan").read_bytes() == b"the previous one"


def test_an_engine_that_is_wrong_only_in_batches_is_refused(trt: TensorRT, run: Run) -> None:
    trt.distort = lambda density: np.ascontiguousarray(density[::-1])
    assert "of a photo's density" in fails(run)


@pytest.mark.parametrize("smallest", [1, 2])
def test_not_a_number_is_refused(trt: TensorRT, run: Run, smallest: int) -> None:
    trt.distort = lambda density: density * (np.float32("nan") if len(density) >= smallest else 1)
    assert "moves nan%" in fails(run)


def test_tensorrt_that_does_not_start_says_why(trt: TensorRT, run: Run) -> None:
    trt.starts = False
    assert "does not start: CUDA initialization failure with error: 999" in fails(run)


@pytest.mark.parametrize(
    ("status", "message"),
    [
        ("cudaErrorInsufficientDriver", "pip install 'cuda-bindings<13'"),
        ("cudaErrorMemoryAllocation", "CUDA: out of memory"),
    ],
)
def test_cuda_that_fails_says_why(
    trt: TensorRT, run: Run, monkeypatch: pytest.MonkeyPatch, status: str, message: str
) -> None:
    runtime = sys.modules["cuda.bindings.runtime"]
    failed = (fake_nvidia.CudaError[status], None)
    monkeypatch.setattr(runtime, "cudaMalloc", lambda size: failed)
    assert message in fails(run)


# What is missing is said first


@pytest.mark.parametrize(
    ("found", "message"),
    [
        ({}, "there is no NVIDIA driver here"),
        ({"libcuda": Driver(status=100)}, "cuInit says 100, no CUDA-capable device is detected"),
        ({"libcuda": Driver()}, "the NVIDIA driver offers no GPU"),
    ],
)
def test_no_gpu_is_said_before_tensorrt_is_touched(
    run: Run, monkeypatch: pytest.MonkeyPatch, found: dict[str, object], message: str
) -> None:
    monkeypatch.setattr(machine.ctypes, "CDLL", libraries(**found))
    monkeypatch.setattr(command, "load_tensorrt", lambda: pytest.fail("TensorRT was touched"))
    assert message in fails(run)


def test_missing_tensorrt_says_what_to_install(
    trt: TensorRT, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("tensorrt", "tensorrt_bindings"):
        monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(EngineError, match=r"pip install 'tensorrt-cu12-bindings==11\.4\.0\.\*'"):
        machine.load_tensorrt()
    monkeypatch.setattr(machine.ctypes, "CDLL", libraries(libcuda=Driver(H100)))
    with pytest.raises(EngineError, match="pip install tensorrt, of the server's version"):
        machine.load_tensorrt()


def test_bindings_without_libraries_are_told_apart(
    trt: TensorRT, monkeypatch: pytest.MonkeyPatch
) -> None:
    def load(name: str) -> ModuleType:
        raise ImportError("libnvinfer.so.11: cannot open shared object file")

    monkeypatch.setattr(machine.importlib, "import_module", load)
    with pytest.raises(EngineError, match=r"libraries are missing .*libnvinfer\.so\.11"):
        machine.load_tensorrt()


@pytest.mark.parametrize(
    ("installed", "message"),
    [
        ("9.3.0.1", "TensorRT 9.3.0.1 is installed; this needs version 10 or 11"),
        ("12.0.0.1", "TensorRT 12.0.0.1 is installed; this needs version 10 or 11"),
        ("11.3.0.99", "is of version 11.3.0.99, the server's library of 11.4.0"),
    ],
)
def test_another_tensorrt_is_refused(trt: TensorRT, run: Run, installed: str, message: str) -> None:
    trt.__version__ = installed
    assert message in fails(run)


def test_tensorrt_10_is_accepted(trt: TensorRT, monkeypatch: pytest.MonkeyPatch) -> None:
    trt.__version__ = "10.13.3.9"
    monkeypatch.setattr(machine.ctypes, "CDLL", libraries(libnvinfer=nvinfer(101303)))
    assert machine.load_tensorrt() is trt


def test_a_missing_package_is_named(
    trt: TensorRT, run: Run, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "cuda.bindings", None)
    for name in ("engine", "make"):
        monkeypatch.delitem(sys.modules, f"export.tensorrt.{name}")
    assert "cuda.bindings is not installed: pip install '.[tensorrt]'" in fails(run)


def test_a_missing_graph_is_named(run: Run, version: Path) -> None:
    (version / "model.onnx").unlink()
    assert "model.onnx does not exist: make it with python -m export.onnx" in fails(run)


# Whether a plan fits


def test_a_plan_built_here_passes_the_check(
    trt: TensorRT, run: Run, capsys: pytest.CaptureFixture[str]
) -> None:
    run()
    run("--check")
    assert "fits TensorRT 11.4.0 on NVIDIA H100: fp16, to 64 photos" in capsys.readouterr().out


def test_the_check_needs_no_package(tmp_path: Path) -> None:
    """The image that serves has Python and no more than these of our files."""
    shutil.copytree(ROOT / "export" / "tensorrt", tmp_path / "export" / "tensorrt")
    shutil.copy(ROOT / "export" / "__init__.py", tmp_path / "export")
    code = "import sys, export.tensorrt.__main__; print(*sys.modules)"
    output = subprocess.run(
        [sys.executable, "-S", "-c", code],
        cwd=tmp_path,
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert "export.tensorrt.plan" in output.split()
    assert not {"numpy", "onnx", "rich"} & set(output.split())


def test_the_build_needs_no_torch() -> None:
    """The image of a server has none, and it is large."""
    code = "import sys; sys.modules['torch'] = None; import export.fp16, export.parity"
    subprocess.run([sys.executable, "-c", code], cwd=ROOT, check=True)


def test_every_misfit_is_told(
    trt: TensorRT, run: Run, version: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run()
    gpus = Driver(H100, (A10.name, 8, 6))
    found = libraries(libcuda=gpus, libnvinfer=nvinfer(110300))
    monkeypatch.setattr(machine.ctypes, "CDLL", found)
    with (version / "model.onnx").open("ab") as file:
        file.write(b" ")
    config = version.parent / "configs" / "gpu.pbtxt"
    config.parent.mkdir()
    config.write_text('backend: "tensorrt"\nmax_batch_size: 65\n')
    said = fails(run, "--check")
    assert "the plan is of TensorRT 11.4.0.106, the server has 11.3.0" in said
    assert "is for compute capability 9.0 (NVIDIA H100), the GPU NVIDIA A10 has 8.6" in said
    assert said.count("compute capability") == 1
    assert "model.onnx has changed since model.plan was built from it" in said
    assert "says max_batch_size 65, the plan was built for batches of up to 64" in said


def test_a_missing_plan_is_told_as_triton_would_tell_it(run: Run, version: Path) -> None:
    said = fails(run, "--check")
    assert "model.plan does not exist: build it here with python -m export.tensorrt" in said
    assert "unable to load plan file to auto complete config" in said


def test_a_plan_of_tensorrt_rtx_is_refused(run: Run, version: Path) -> None:
    (version / "model.plan").write_bytes(b"vtrt" + bytes(60))
    said = fails(run, "--check")
    assert "this plan was built by TensorRT-RTX, and TensorRT does not load it" in said
    assert "build the plan with python -m export.tensorrt, inside the serving image" in said


@pytest.mark.parametrize("text", [None, "{", "{}", '{"tensorrt": "11.4.0"}', "[1]"])
def test_a_plan_that_nothing_is_known_of_is_refused(
    run: Run, version: Path, text: str | None
) -> None:
    plan = version / "model.plan"
    plan.write_bytes(b"plan")
    if text is not None:
        beside(plan).write_text(text)
    assert "does not say what model.plan was built for" in fails(run, "--check")


def info(**changes: object) -> PlanInfo:
    return PlanInfo(**{**vars(INFO), **changes})  # type: ignore[arg-type]


def test_compatible_plans_fit_more() -> None:
    h100 = Gpu("NVIDIA H100", "9.0")
    assert not misfits(INFO, "11.4.0", [h100, h100])
    assert len(misfits(INFO, "11.3.0", [h100, A10])) == 2
    assert not misfits(info(hardware_compatible=True), "11.4.0", [A10])
    assert misfits(info(hardware_compatible=True), "11.4.0", [Gpu("NVIDIA T4", "7.5")])
    assert not misfits(info(hardware_compatible=True), "11.4.0", [Gpu("NVIDIA B200", "10.0")])
    assert "no libnvinfer.so here" in misfits(INFO, None, [h100])[0]


def test_a_plan_by_itself_is_not_outdated(tmp_path: Path) -> None:
    assert outdated(INFO, tmp_path / "student" / "1" / "model.plan") == []


# The stand-ins are true to TensorRT

SHIM = """
#define F(name) void *name(void) { return 0; }
F(createInferBuilder_INTERNAL) F(createInferRefitter_INTERNAL) F(createInferRuntime_INTERNAL)
F(createNvOnnxParser_INTERNAL) F(createNvOnnxParserRefitter_INTERNAL) F(getBuilderPluginRegistry)
F(getNvOnnxParserVersion) F(getPluginRegistry) F(initLibNvInferPlugins)
"""
# What pybind11's signatures do not tell of these types
ALSO = {
    "class IHostMemory:": "def __buffer__(self, flags: int, /) -> memoryview: ...",
    "class Dims:": "def __iter__(self) -> typing.Iterator[int]: ...",
}
PACKAGE = """
from typing import Any
from tensorrt_bindings.tensorrt import *
__version__: str
def nptype(trt_type: Any) -> Any: ...
"""
MYPY = """
[mypy]
strict = True
warn_return_any = False
warn_unused_ignores = False
follow_imports = silent
explicit_package_bases = True
[mypy-cuda.*]
ignore_missing_imports = True
[mypy-skimage.*,onnxruntime.*]
ignore_missing_imports = True
[mypy-tensorrt_bindings.*]
ignore_errors = True
"""


@pytest.fixture(scope="module")
def stubs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Types of TensorRT's own bindings, in whichever version is installed.

    The bindings are on PyPI, the libraries that they bind are not; to be imported they need
    no more than the libraries' names, which a C compiler makes.
    """
    if importlib.util.find_spec("tensorrt_bindings") is None or shutil.which("cc") is None:
        pytest.skip("needs TensorRT's bindings (dev extra) and a C compiler")
    folder = tmp_path_factory.mktemp("stubs")
    (folder / "shim.c").write_text(SHIM)
    major = importlib.metadata.version("tensorrt-cu12-bindings").split(".")[0]
    for library in ("libnvinfer", "libnvinfer_plugin", "libnvonnxparser"):
        name = f"{library}.so.{major}"
        compiler = ["cc", "-shared", "-fPIC", f"-Wl,-soname,{name}", "-o", name, "shim.c"]
        subprocess.run(compiler, cwd=folder, check=True)
    python = Path(sys.executable)
    subprocess.run(
        [python.with_name("stubgen"), "--inspect-mode", "-m", "tensorrt_bindings.tensorrt"],
        cwd=folder,
        check=True,
        env={**os.environ, "LD_LIBRARY_PATH": str(folder)},
    )
    generated = folder / "out" / "tensorrt_bindings" / "tensorrt.pyi"
    lines = ["import typing", *generated.read_text().splitlines()]
    lines = [line for line in lines if "def add_scale_nd" not in line]  # defaults out of order
    text = "\n".join(f"{line}\n    {ALSO[line]}" if line in ALSO else line for line in lines)
    generated.write_text(text)
    generated.with_name("__init__.pyi").touch()
    (folder / "out" / "tensorrt").mkdir()
    (folder / "out" / "tensorrt" / "__init__.pyi").write_text(PACKAGE)
    (folder / "mypy.ini").write_text(MYPY)
    return folder


def type_errors(stubs: Path, package: str, root: Path) -> str:
    mypy = [Path(sys.executable).with_name("mypy"), "--config-file", stubs / "mypy.ini"]
    environment = {**os.environ, "MYPYPATH": os.pathsep.join([str(root), str(stubs / "out")])}
    return subprocess.run(
        [*mypy, "--cache-dir", stubs / "cache", "-p", package],
        cwd=root,
        env=environment,
        capture_output=True,
        text=True,
    ).stdout


def test_types_agree_with_tensorrts_own(stubs: Path) -> None:
    assert "Success" in type_errors(stubs, "export.tensorrt", ROOT)


def test_a_name_that_tensorrt_does_not_have_would_be_found(stubs: Path, tmp_path: Path) -> None:
    package = tmp_path / "wrong"
    package.mkdir()
    (package / "__init__.py").write_text(
        "import tensorrt as trt\nlog = trt.Logger()\ntrt.Builder(log).create_network(flag=1)\n"
    )
    assert "[call-arg]" in type_errors(stubs, "wrong", tmp_path)
