"""Dashboard, rules and autoscaler ask for what a server under load tells: asked of a Prometheus."""

import contextlib
import http.server
import json
import re
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import gazecrop
import numpy as np
import promql_parser
import psutil
import pytest
import yaml

from server import embedded
from tests.conftest import encode, free_address
from tests.deploy import prometheus
from tests.deploy.kustomize import load, render, the

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
COMPONENT = KUBERNETES / "components" / "prometheus"
POD = {"namespace": "gazecrop", "pod": "gazecrop-0", "track": "stable"}
PLACEHOLDERS = {
    "$__rate_interval": "1m",
    "$namespace": POD["namespace"],
    "$pod": ".*",
    "<<.LabelMatchers>>": f'pod="{POD["pod"]}"',
    "<<.GroupBy>>": "pod",
}
COMPARISONS = {">", "<", ">=", "<=", "and", "or"}
DATA_SECONDS = 60
# Of Triton's documentation (docs/user_guide/metrics.md): a server without a GPU does not have them.
GPU_METRICS = re.compile(r"\bnv_gpu_\w+")


def filled(query: str) -> str:
    for placeholder, value in PLACEHOLDERS.items():
        query = query.replace(placeholder, value)
    return query


def dashboard() -> dict[str, Any]:
    return dict(json.loads((COMPONENT / "dashboard.json").read_text("utf-8")))


def dashboard_queries() -> dict[str, str]:
    return {
        f"{panel['title']}, {target['refId']}": filled(target["expr"])
        for panel in dashboard()["panels"]
        for target in panel["targets"]
        if not GPU_METRICS.search(target["expr"])
    }


def dashboard_variables() -> list[tuple[str, str]]:
    """What each lists: a selector, and the label."""
    queries = [each["query"] for each in dashboard()["templating"]["list"]]
    found = [re.fullmatch(r"label_values\((.*), (\w+)\)", query) for query in queries]
    return [(filled(match[1]), match[2]) for match in found if match]


def adapter_rule() -> dict[str, Any]:
    values = yaml.safe_load((COMPONENT / "adapter-values.yaml").read_text("utf-8"))
    [rule] = values["rules"]["custom"]
    return dict(rule)


def rules(kind: str) -> dict[str, str]:
    """Expressions of the rules that record something, or alert."""
    groups = load(prometheus.RULES)["spec"]["groups"]
    return {rule[kind]: rule["expr"] for group in groups for rule in group["rules"] if kind in rule}


def compared(expression: Any) -> Iterator[str]:
    """What an alert holds against its thresholds, which are mostly not reached."""
    if isinstance(expression, promql_parser.ParenExpr):
        yield from compared(expression.expr)
    elif isinstance(expression, promql_parser.BinaryExpr) and str(expression.op) in COMPARISONS:
        yield from compared(expression.lhs)
        yield from compared(expression.rhs)
    elif isinstance(expression, promql_parser.Call) and expression.func.name == "absent":
        yield from map(str, expression.args)
    elif not isinstance(expression, promql_parser.NumberLiteral):
        yield str(expression)


def cpu_container() -> dict[str, Any]:
    deployment = the(render(KUBERNETES / "overlays" / "cpu"), "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    return dict(container)


class Load:
    """Callers of a server: usable photos, unusable ones, and for a moment far too many."""

    def __init__(self, address: embedded.Address) -> None:
        self.target = f"{address.host}:{address.grpc}"
        self.photo = (ROOT / "docs" / "photo.jpg").read_bytes()
        self.stop = threading.Event()

    def flood(self) -> None:
        """Photos that come faster than they are decoded, on any machine: they are large, and few
        bytes."""
        upload = encode(np.zeros((3000, 3000, 3), np.uint8), "PNG")
        with gazecrop.Client(self.target, timeout=20, in_flight=400) as client:
            outcomes = list(client.predict_many([upload] * 400, in_flight=400))
        assert any(isinstance(each, gazecrop.Saliency) for each in outcomes)

    def trickle(self) -> None:
        with gazecrop.Client(self.target, timeout=20) as client:
            while not self.stop.wait(0.05):
                for upload in (self.photo, self.photo[:5000], b"no photo"):
                    with contextlib.suppress(gazecrop.GazecropError):
                        client.predict(upload)


@contextlib.contextmanager
def cluster_metrics(process: psutil.Process, limit: str) -> Iterator[str]:
    """The server's memory, under the names of cAdvisor and kube-state-metrics; the address."""
    labels = 'namespace="gazecrop",pod="gazecrop-0",container="triton"'

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            used = sum(each.memory_info().rss for each in (process, *process.children(True)))
            text = (
                f"container_memory_working_set_bytes{{{labels}}} {used}\n"
                f'kube_pod_container_resource_limits{{{labels},resource="memory"}} {limit}\n'
            )
            self.send_response(200)
            self.end_headers()
            self.wfile.write(text.encode())

        def log_message(self, *args: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        yield f"127.0.0.1:{server.server_port}"
        server.shutdown()


@pytest.fixture(scope="module")
def watched(
    tmp_path_factory: pytest.TempPathFactory,
) -> Iterator[tuple[prometheus.Prometheus, embedded.Address]]:
    """A server with the cluster's options, under load, and a Prometheus that watches it."""
    folder = tmp_path_factory.mktemp("watched")
    options = tuple(arg for arg in cpu_container()["args"] if arg.startswith("--"))
    address = free_address()
    with contextlib.ExitStack() as stack:
        log = stack.enter_context((folder / "triton.log").open("w"))
        process = stack.enter_context(embedded.run(address, log=log, options=options, cores=1))
        memory = cluster_metrics(psutil.Process(process.pid), limit=str(2**32))
        targets = {f"{address.host}:{address.metrics}": POD, stack.enter_context(memory): {}}
        watcher = stack.enter_context(prometheus.scraping(folder, targets))
        load = Load(address)
        caller = threading.Thread(target=load.trickle)
        caller.start()
        stack.callback(caller.join)
        stack.callback(load.stop.set)
        # A counter rises from where it was first seen.
        assert without_data(watcher, {"failures": "nv_inference_request_failure"}) == {}
        load.flood()
        yield watcher, address


def without_data(watcher: prometheus.Prometheus, queries: dict[str, str]) -> dict[str, str]:
    """Queries that have no data, after waiting for them."""
    deadline = time.monotonic() + DATA_SECONDS
    while missing := {name: query for name, query in queries.items() if not watcher.query(query)}:
        if time.monotonic() > deadline:
            break
        time.sleep(0.5)
    return missing


def test_every_panel_has_data(watched: tuple[prometheus.Prometheus, embedded.Address]) -> None:
    queries = dashboard_queries()
    assert len(queries) > 12
    assert without_data(watched[0], queries) == {}
    variables = dashboard_variables()
    assert [label for _, label in variables] == ["namespace", "pod"]
    for selector, label in variables:
        assert {each["metric"][label] for each in watched[0].query(selector)} == {POD[label]}


def test_every_rule_has_data(watched: tuple[prometheus.Prometheus, embedded.Address]) -> None:
    assert without_data(watched[0], rules("record")) == {}
    sides = {
        f"{name}, {index}": side
        for name, expression in rules("alert").items()
        for index, side in enumerate(compared(promql_parser.parse(expression)))
    }
    assert len(sides) > len(rules("alert"))
    assert without_data(watched[0], sides) == {}


def test_the_adapter_and_the_autoscaler_have_data(
    watched: tuple[prometheus.Prometheus, embedded.Address],
) -> None:
    rule = adapter_rule()
    queries = {name: filled(rule[name]) for name in ("seriesQuery", "metricsQuery")}
    assert without_data(watched[0], queries) == {}
    scaler = load(COMPONENT / "horizontalpodautoscaler.yaml")
    names = [m["pods"]["metric"]["name"] for m in scaler["spec"]["metrics"] if m["type"] == "Pods"]
    assert names == [rule["name"]["as"]]


def test_bad_photos_overload_and_broken_decoders_are_told_apart(
    watched: tuple[prometheus.Prometheus, embedded.Address],
) -> None:
    watcher, _ = watched
    unusable = "sum by (reason) (increase(gazecrop_unusable_photos_total[5m])) > 0"
    assert without_data(watcher, {"unusable": unusable}) == {}
    reasons = {each["metric"]["reason"] for each in watcher.query(unusable)}
    assert reasons == {"damaged", "unknown format"}
    broken = "sum(increase(nv_inference_request_failure{reason='BACKEND'}[5m]))"
    assert float(watcher.query(broken)[0]["value"][1]) == 0
    assert watcher.fires({"GazecropNotAnswering", "GazecropRefusing"}, within=DATA_SECONDS)
    assert "GazecropDecoderDown" not in watcher.firing()


@pytest.mark.parametrize("overlay", ["cpu", "gpu"])
def test_queries_parse(overlay: str) -> None:
    for query in [*dashboard_queries().values(), *rules("record").values()]:
        promql_parser.parse(query)
    monitor = the(render(KUBERNETES / "overlays" / overlay), "ServiceMonitor")
    assert monitor["spec"]["podTargetLabels"] == ["track"]
