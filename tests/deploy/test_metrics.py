"""The names in the dashboard, the adapter's rule and the autoscaler are those of Triton."""

import json
import re
import urllib.request
from collections.abc import Iterator
from pathlib import Path

import gazecrop
import promql_parser
import pytest
import yaml

from tests.conftest import serving
from tests.deploy.kustomize import load, render, the

DEPLOY = Path(__file__).parents[2] / "deploy"
README = DEPLOY / "README.md"
KUBERNETES = DEPLOY / "kubernetes"
PROMETHEUS = KUBERNETES / "components" / "prometheus"
# Of its documentation (docs/user_guide/metrics.md): a server without a GPU does not have them.
GPU_METRICS = {"nv_gpu_utilization", "nv_gpu_memory_used_bytes"}


def dashboard_queries() -> list[str]:
    dashboard = json.loads((PROMETHEUS / "dashboard.json").read_text("utf-8"))
    variables = [variable["query"] for variable in dashboard["templating"]["list"]]
    return variables + [
        target["expr"] for panel in dashboard["panels"] for target in panel["targets"]
    ]


def adapter_rule() -> dict[str, str]:
    values = yaml.safe_load((PROMETHEUS / "adapter-values.yaml").read_text("utf-8"))
    [rule] = values["rules"]["custom"]
    return dict(rule)


def alerts() -> list[str]:
    [block] = re.findall(r"```promql\n(.*?)```", README.read_text("utf-8"), re.DOTALL)
    return [line for line in block.splitlines() if not line.startswith("#")]


@pytest.fixture(scope="module")
def metrics(tmp_path_factory: pytest.TempPathFactory, astronaut_file: bytes) -> Iterator[str]:
    """Of a server with the options of the cluster's, after a prediction."""
    deployment = the(render(KUBERNETES / "overlays" / "cpu"), "Deployment")
    [container] = deployment["spec"]["template"]["spec"]["containers"]
    options = tuple(arg for arg in container["args"] if arg.startswith("--"))
    with serving(tmp_path_factory.mktemp("triton"), options=options) as address:
        with gazecrop.Client(f"{address.host}:{address.grpc}", timeout=20) as client:
            client.predict(astronaut_file)
        url = f"http://{address.host}:{address.metrics}/metrics"
        with urllib.request.urlopen(url) as response:
            yield response.read().decode()


@pytest.fixture(scope="module")
def astronaut_file() -> bytes:
    return (Path(__file__).parents[2] / "docs" / "photo.jpg").read_bytes()


def test_names_are_tritons(metrics: str) -> None:
    rule = adapter_rule()
    queries = [*dashboard_queries(), *alerts(), rule["seriesQuery"], rule["metricsQuery"]]
    used = {name for query in queries for name in re.findall(r"\bnv_\w+", query)}
    assert len(used) > 8
    there = set(re.findall(r"^(nv_\w+){", metrics, re.MULTILINE))
    assert used - GPU_METRICS <= there


def test_models_and_quantiles_are_tritons(metrics: str) -> None:
    queries = " ".join([*dashboard_queries(), *map(str, adapter_rule().values())])
    for label in ("model", "quantile"):
        values = {
            value
            for matcher in re.findall(rf'\b{label}=~?"([^"]*)"', queries)
            for value in matcher.split("|")
        }
        assert values
        assert values <= set(re.findall(rf'\b{label}="([^"]*)"', metrics))


def test_queries_parse() -> None:
    readable = {"$__rate_interval": "1m", "<<.LabelMatchers>>": 'pod="a"', "<<.GroupBy>>": "pod"}
    queries = [q for q in dashboard_queries() if re.search(r"\bnv_\w+{", q) and "values(" not in q]
    assert len(queries) > 8
    for query in [*queries, *alerts(), adapter_rule()["metricsQuery"]]:
        for placeholder, value in readable.items():
            query = query.replace(placeholder, value)
        promql_parser.parse(query)


def test_autoscaler_reads_what_the_adapter_writes() -> None:
    scaler = load(PROMETHEUS / "horizontalpodautoscaler.yaml")
    names = [m["pods"]["metric"]["name"] for m in scaler["spec"]["metrics"] if m["type"] == "Pods"]
    assert names == [adapter_rule()["name"]["as"]]  # type: ignore[index]
