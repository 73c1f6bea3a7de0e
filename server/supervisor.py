"""Keep a tritonserver serving, until it is to stop; then let it end what it has begun.

Triton 2.51 replaces no process of a model that died, and calls the model ready all the same. Told
to load the model with another instance, it does, while the others go on. Where that fails, or
Triton itself has died, it begins anew as a whole.
"""

import base64
import contextlib
import json
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path

from google.protobuf import json_format  # type: ignore[import-untyped]
from tritonclient.grpc.model_config_pb2 import ModelConfig, ModelInstanceGroup

from server import health, instances
from server.embedded import Address, ServerError, Triton
from server.processes import LEADER, Processes
from server.restrictions import KEY, closing, names

REFUSAL = Path(__file__).parent / "refusal.py"
LOOK_SECONDS = 0.2  # between looks at a request to stop
ASK_SECONDS = 2.0  # between predictions that we ask for
ANSWER_SECONDS = 10.0  # for each
STOPPED_SECONDS = 4.0  # for which a signal may keep a process from running
ASK_TIMES = 3  # predictions that fail before Triton begins anew
STOP_SECONDS = 15.0  # for requests in flight
IDLE_SECONDS = 1.0  # after which no request waits: batchers sleep half a second at most
REPLACE_SECONDS = 3.0  # for a replacement that a stop finds in progress
START_TIMES = 3  # starts that fail before we give up


def required(secret: str, given: Sequence[str]) -> list[str]:
    """Options that a supervisor needs, where those given say nothing of it."""
    ours = closing(secret, given)
    if not names("--model-control-mode", given):  # so that we may load what refuses, at the end
        ours += ["--model-control-mode=explicit", "--load-model=*"]
    return ours


class Supervisor:
    """Runs a tritonserver, and another in its place whenever something of it has died."""

    def __init__(self, triton: Triton, secret: str) -> None:
        self._triton = triton
        self._secret = secret
        self._ready = threading.Event()
        self._stopping = threading.Event()
        self._at_once = False
        self._stop_asked = 0.0
        self._error: ServerError | None = None

    def stop(self) -> None:
        """Let `serve` return, when what has begun is answered; asked again, at once."""
        self._at_once = self._stopping.is_set()
        self._stop_asked = time.monotonic()
        self._stopping.set()

    def serve(self, greeting: str | None = None) -> None:
        """Serve until `stop` is called; greet when the models are loaded.

        Raises:
            ServerError: it does not start, or not again.
        """
        failures = 0
        try:
            while not self._stopping.is_set():
                try:
                    self._triton.start()
                except ServerError as error:
                    failures += 1
                    if failures == START_TIMES or not self._ready.is_set():
                        raise
                    _say(f"{error}; starting the server anew")
                    self._triton.kill()
                    continue
                failures = 0
                if greeting and not self._ready.is_set():
                    print(greeting, flush=True)
                self._ready.set()
                if (reason := self._wait()) and not self._stopping.is_set():
                    _say(f"{reason}; starting the server anew")
                    self._triton.kill()
        finally:
            self._triton.kill()

    @contextlib.contextmanager
    def in_background(self) -> Iterator[None]:
        """Serve while a block runs, entered when the models are loaded; end with it at once.

        Raises:
            ServerError: it does not start.
        """
        thread = threading.Thread(target=self._serve_in_background)
        thread.start()
        try:
            while not self._ready.wait(LOOK_SECONDS):
                if self._error:
                    raise self._error
            yield
        finally:
            self._at_once = True
            self._stopping.set()
            thread.join()

    def _serve_in_background(self) -> None:
        try:
            self.serve()
        except ServerError as error:
            self._error = error
            _say(f"error: {error}")

    def _wait(self) -> str | None:
        """Replace what dies; why Triton must begin anew, or None when all has ended in order."""
        process = self._triton.process
        assert process is not None
        with (
            contextlib.closing(Processes(process.pid)) as processes,
            contextlib.closing(Questions(self._triton.address)) as questions,
        ):
            dead = processes.look(self._instances())
            while not self._stopping.is_set():
                if stopped := processes.kill_stopped(STOPPED_SECONDS):
                    _say(f"stopped by a signal, and killed: {', '.join(sorted(stopped))}")
                dead |= processes.deaths(LOOK_SECONDS)
                if LEADER in dead:
                    return f"{LEADER} has died"
                if dead:
                    _say(f"died, and replaced: {', '.join(sorted(dead))}")
                    if problem := self._replaced(dead, processes):
                        return problem
                    dead = processes.look(self._instances())
                if problem := questions.problem():
                    return f"the server does not predict: {problem}"
            if not self._at_once:
                self._drain(processes)
        return None

    def _instances(self) -> set[str]:
        """As Triton names them: by their group, which has no other."""
        return {
            f"{group.name}_0"
            for model in self._triton.models.iterdir()
            for group in instances.read(model).instance_group
        }

    def _replaced(self, dead: set[str], processes: Processes) -> str | None:
        """Replace the dead while Triton lives; why it must begin anew."""
        with ThreadPoolExecutor(1) as pool:
            replacing = pool.submit(self._replace, dead)
            while not replacing.done():
                died = LEADER in processes.deaths(LOOK_SECONDS)
                if died or self._cannot_wait():
                    self._triton.kill()  # its children hold the connection on which we wait
                    return f"{LEADER} has died" if died else "it is to stop"
        error = replacing.exception()
        if error is not None and not isinstance(error, health.NoPrediction):
            raise error
        return str(error) if error else None

    def _cannot_wait(self) -> bool:
        """Whether it is to stop, and a replacement in progress takes too long for that."""
        overdue = time.monotonic() > self._stop_asked + REPLACE_SECONDS
        return self._at_once or (self._stopping.is_set() and overdue)

    def _replace(self, dead: set[str]) -> None:
        """Load models with other instances in the place of the dead; all others go on.

        Triton keeps the instances whose group has not changed but in its name.

        Raises:
            health.NoPrediction: a model has none left, or does not load in time, as it happens
                where the killed held a lock.
        """
        for model in self._triton.models.iterdir():
            with instances.configuration(model) as config:
                groups = [each for each in config.instance_group if f"{each.name}_0" in dead]
                if groups and len(groups) == len(config.instance_group):
                    raise health.NoPrediction(f"{model.name} has no process left")
                for group in groups:
                    last = max(each.rate_limiter.priority for each in config.instance_group)
                    instances.tell_apart(group, model.name, last + 1)
            if groups:
                self._load(model.name, config)

    def _drain(self, processes: Processes) -> None:
        """Answer what has come, refuse what comes.

        A model that refuses takes the ensemble's place, where requests that have begun go on
        with the old one. They are answered when all processes have been idle for a while: to
        unload the models would say so too, but lasts seconds for each process, and for ever where
        one was replaced.
        """
        try:
            self._load_refusal()
        except health.NoPrediction as error:
            _say(f"stopping without waiting for requests, since {error}")
            self._triton.stop()
            return
        worked = now = time.monotonic()
        deadline = now + STOP_SECONDS
        while now < min(worked + IDLE_SECONDS, deadline) and not self._at_once:
            time.sleep(0.02)
            now = time.monotonic()
            if processes.are_at_work():
                worked = now

    def _load_refusal(self) -> None:
        config = instances.read(self._triton.models / "saliency")
        config.ClearField("ensemble_scheduling")
        config.ClearField("platform")
        config.ClearField("response_cache")
        config.backend = "python"
        config.instance_group.add(kind=ModelInstanceGroup.KIND_CPU, count=1)
        self._load("saliency", config, {"1/model.py": REFUSAL.read_bytes()})

    def _load(
        self, model: str, config: ModelConfig, files: Mapping[str, bytes] | None = None
    ) -> None:
        parameters = {
            "config": json_format.MessageToJson(config, preserving_proto_field_name=True),
            **{
                f"file:{name}": base64.b64encode(content).decode()
                for name, content in (files or {}).items()
            },
        }
        self._ask(f"models/{model}/load", {"parameters": parameters})

    def _ask(self, path: str, body: object = None) -> bytes:
        address = self._triton.address
        status, answer = health.ask(
            address.host,
            address.http,
            "POST",
            f"repository/{path}",
            json.dumps(body or {}).encode(),
            {KEY: self._secret},
            STOP_SECONDS,
        )
        if status != 200:
            raise health.NoPrediction(f"{path} was answered by {answer.decode(errors='replace')}")
        return answer


class Questions:
    """Predictions that are asked for, again and again, while something else goes on."""

    def __init__(self, address: Address) -> None:
        self._address = address
        self._pool = ThreadPoolExecutor(1)
        self._asked: Future[str | None] | None = None
        self._next = time.monotonic() + ASK_SECONDS
        self._failures = 0

    def problem(self) -> str | None:
        """Why too many in a row have failed, if they have; it never waits for an answer."""
        if self._asked is None:
            if time.monotonic() > self._next:
                self._asked = self._pool.submit(self._ask)
            return None
        if not self._asked.done():
            return None
        problem, self._asked = self._asked.result(), None
        self._next = time.monotonic() + ASK_SECONDS
        self._failures = self._failures + 1 if problem else 0
        return problem if self._failures == ASK_TIMES else None

    def close(self) -> None:
        self._pool.shutdown(wait=False)

    def _ask(self) -> str | None:
        try:
            health.predict(self._address.host, self._address.http, ANSWER_SECONDS)
        except health.NoPrediction as error:
            return None if error.busy else str(error)
        return None


def _say(text: str) -> None:
    print(text, file=sys.stderr, flush=True)
