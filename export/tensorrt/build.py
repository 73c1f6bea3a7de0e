"""ONNX → plan. Import it after `machine.load_tensorrt`.

The network's types are those in the graph: TensorRT 11 knows no other way, TensorRT 10 does so
in its strongly typed mode (and the batch has been a dimension like any other since then). There
are no precision flags here and no calibration.
"""

import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import SupportsInt, TypeVar

import onnx
import tensorrt as trt
from rich.progress import Progress, TaskID

from export.tensorrt.machine import EngineError
from export.tensorrt.plan import MAX_BATCH, OPTIMAL_BATCH

Started = TypeVar("Started")

# Of CUDA, of TensorRT's allocators and tactics, and of the host's C++.
OUT_OF_MEMORY = re.compile(
    r"out ?of ?memory|insufficient (memory|workspace)|workspace limit|bad_alloc", re.IGNORECASE
)


def build(
    model: onnx.ModelProto, hardware_compatible: bool = False, log: "Log | None" = None
) -> bytes:
    """The serialised engine of a graph whose first dimension is the batch, up to `MAX_BATCH`.

    Args:
        model: inputs PIXELS and EXTENT.
        hardware_compatible: for all GPUs from Ampere on, not this one's kind alone.
        log: where to find afterwards what TensorRT said of the engine's layers.

    Raises:
        EngineError: TensorRT cannot read the graph or build an engine; with all that it said.
        KeyboardInterrupt: during the build, which then ends at its next step.
    """
    log = log or Log()
    builder = started(trt.Builder, log)
    network = builder.create_network(1 << int(trt.NetworkDefinitionCreationFlag.STRONGLY_TYPED))
    _parse(model, network, log)
    config = builder.create_builder_config()
    config.profiling_verbosity = trt.ProfilingVerbosity.DETAILED  # for `Log.layers`
    if hardware_compatible:
        config.hardware_compatibility_level = trt.HardwareCompatibilityLevel.AMPERE_PLUS
    config.add_optimization_profile(_profile(builder, network))
    with Progress(transient=True) as progress:
        monitor = Monitor(progress)
        config.progress_monitor = monitor
        plan = builder.build_serialized_network(network, config)
    if monitor.interrupted:
        raise KeyboardInterrupt
    if plan is None:
        raise EngineError(f"TensorRT {_why_none(log.reasons())}")
    return bytes(plan)


def _why_none(reasons: str) -> str:
    if OUT_OF_MEMORY.search(reasons):
        return (
            "ran out of memory during the build: stop what else uses this GPU (see nvidia-smi; a "
            "Triton that serves from it, too), and give the container some 8 GB of the host's "
            f"memory. It said: {reasons}"
        )
    return f"built no engine: {reasons}"


def _parse(model: onnx.ModelProto, network: trt.INetworkDefinition, log: "Log") -> None:
    parser = trt.OnnxParser(network, log)
    if parser.parse(model.SerializeToString()):
        return
    errors = [parser.get_error(index) for index in range(parser.num_errors)]
    lines = [f"{error.node_operator()} {error.node_name()}: {error.desc()}" for error in errors]
    raise EngineError("TensorRT cannot read the graph:\n  " + "\n  ".join(lines or [log.reasons()]))


def _profile(builder: trt.Builder, network: trt.INetworkDefinition) -> trt.IOptimizationProfile:
    profile = builder.create_optimization_profile()
    for index in range(network.num_inputs):
        tensor = network.get_input(index)
        shapes = [
            trt.Dims([batch, *list(tensor.shape)[1:]]) for batch in (1, OPTIMAL_BATCH, MAX_BATCH)
        ]
        profile.set_shape(tensor.name, *shapes)
    return profile


def started(factory: Callable[["Log"], Started], log: "Log") -> Started:
    """A `trt.Builder` or `trt.Runtime`.

    Raises:
        EngineError: CUDA does not start; with what TensorRT said.
    """
    try:
        return factory(log)
    except TypeError as error:  # pybind11's, of a constructor that gave nothing
        raise EngineError(f"TensorRT does not start: {log.reasons()}") from error


class Log(trt.ILogger):  # type: ignore[misc]
    """Shows warnings, keeps errors for the exception that will follow, and what tells of layers."""

    def __init__(self) -> None:
        trt.ILogger.__init__(self)
        self.errors: list[str] = []
        self.layers = ""

    def log(self, severity: trt.ILogger.Severity, msg: str) -> None:
        if severity in (trt.ILogger.Severity.INTERNAL_ERROR, trt.ILogger.Severity.ERROR):
            self.errors.append(msg)
        elif severity == trt.ILogger.Severity.WARNING:
            print(f"TensorRT: {msg}", file=sys.stderr)
        elif "LayerType: " in msg:
            self.layers += msg + "\n"

    def reasons(self) -> str:
        return "; ".join(self.errors) or "it gave no reason"


class Monitor(trt.IProgressMonitor):  # type: ignore[misc]
    """A line for each part of the build, a bar for each phase in it.

    TensorRT calls it from threads of its own, too, and no exception may leave it: an interrupt
    ends the build at its next step instead.
    """

    def __init__(self, progress: Progress) -> None:
        trt.IProgressMonitor.__init__(self)
        self.progress = progress
        self.tasks: dict[str, TaskID] = {}
        self.interrupted = False

    def phase_start(
        self, phase_name: str, parent_phase: str | None, num_steps: SupportsInt
    ) -> None:
        with self._safely():
            if not parent_phase:
                self.progress.console.print(phase_name)
            self.tasks[phase_name] = self.progress.add_task(phase_name, total=int(num_steps))

    def step_complete(self, phase_name: str, step: SupportsInt) -> bool:
        with self._safely():
            self.progress.update(self.tasks[phase_name], completed=int(step) + 1)
        return not self.interrupted

    def phase_finish(self, phase_name: str) -> None:
        with self._safely():
            self.progress.remove_task(self.tasks.pop(phase_name))

    @contextmanager
    def _safely(self) -> Iterator[None]:
        try:
            yield
        except KeyboardInterrupt:
            self.interrupted = True
        except KeyError:  # an interrupt kept it from the list, or another phase has its name
            pass
