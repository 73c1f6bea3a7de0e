"""Where a request's time goes inside Triton, from its statistics."""

from dataclasses import dataclass
from typing import Any

import tritonclient.grpc as triton

ENSEMBLE = "saliency"
DURATIONS = ("queue", "compute_input", "compute_infer", "compute_output")


@dataclass(frozen=True)
class Step:
    """One model's part of a request.

    Attributes:
        compute: mean milliseconds in an instance, neighbours in the batch included.
        batch: the mean number of photos in an execution.
    """

    compute: float
    batch: float


@dataclass(frozen=True)
class Split:
    """A request's mean milliseconds in the server.

    Attributes:
        total: from its arrival to its answer.
        queue: waiting for instances of the models.
        steps: by the ensemble's models, in their order.
    """

    total: float
    queue: float
    steps: dict[str, Step]


@dataclass(frozen=True)
class Counters:
    """What a model's versions have counted since the server started; durations in ns."""

    requests: int
    photos: int
    executions: int
    total: int
    durations: dict[str, int]

    def __sub__(self, other: "Counters") -> "Counters":
        durations = {name: self.durations[name] - other.durations[name] for name in DURATIONS}
        return Counters(
            self.requests - other.requests,
            self.photos - other.photos,
            self.executions - other.executions,
            self.total - other.total,
            durations,
        )


class Statistics:
    """Reads the counters of a server's ensemble and of its steps, until the block ends."""

    def __init__(self, server: str) -> None:
        self.client = triton.InferenceServerClient(server)
        config = self.client.get_model_config(ENSEMBLE).config
        self.steps = [step.model_name for step in config.ensemble_scheduling.step]

    def __enter__(self) -> "Statistics":
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()

    def read(self) -> dict[str, Counters]:
        return {name: self._counters(name) for name in (ENSEMBLE, *self.steps)}

    def since(self, before: dict[str, Counters]) -> Split:
        """How the requests answered since then spent their time.

        Raises:
            ValueError: there was none.
        """
        now = self.read()
        spent = {name: now[name] - counters for name, counters in before.items()}
        ensemble = spent.pop(ENSEMBLE)
        if not ensemble.requests:
            raise ValueError("no request was answered meanwhile")
        steps = {name: _step(counters) for name, counters in spent.items()}
        queue = sum(_milliseconds(counters)["queue"] for counters in spent.values())
        return Split(ensemble.total / ensemble.requests / 1e6, queue, steps)

    def _counters(self, model: str) -> Counters:
        versions = self.client.get_inference_statistics(model).model_stats

        def added(duration: str) -> int:
            return sum(getattr(stats.inference_stats, duration).ns for stats in versions)

        return Counters(
            requests=sum(stats.inference_stats.success.count for stats in versions),
            photos=_sum(versions, "inference_count"),
            executions=_sum(versions, "execution_count"),
            total=added("success"),
            durations={name: added(name) for name in DURATIONS},
        )


def _sum(versions: Any, counter: str) -> int:
    return sum(getattr(stats, counter) for stats in versions)


def _step(counters: Counters) -> Step:
    compute = sum(_milliseconds(counters).values()) - _milliseconds(counters)["queue"]
    return Step(compute, counters.photos / counters.executions)


def _milliseconds(counters: Counters) -> dict[str, float]:
    """Of a mean request, by duration."""
    return {
        name: nanoseconds / counters.requests / 1e6
        for name, nanoseconds in counters.durations.items()
    }
