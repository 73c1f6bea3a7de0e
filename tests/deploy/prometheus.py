"""A real Prometheus, where this machine has one: `make .venv/prometheus` unpacks Debian's."""

import contextlib
import json
import shutil
import subprocess
import sys
import time
import urllib.parse
import urllib.request
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.conftest import free_address
from tests.deploy.kustomize import load

RULES = Path(__file__).parents[2] / "deploy/kubernetes/components/prometheus/prometheusrule.yaml"
UNPACKED = Path(sys.prefix) / "prometheus" / "usr" / "bin"
START_SECONDS = 30
Series = list[dict[str, Any]]


def binary(name: str) -> str:
    """The path of `prometheus` or `promtool`; without it, the test that asks is skipped."""
    found = shutil.which(name) or shutil.which(name, path=str(UNPACKED))
    if found is None:
        pytest.skip(
            f"{name} is missing: install Prometheus, or on Debian run make .venv/prometheus"
        )
    return found


def write_rules(folder: Path) -> Path:
    """The rules as Prometheus itself reads them, without the operator's wrapping."""
    path = folder / "rules.yaml"
    path.write_text(yaml.safe_dump(load(RULES)["spec"]), "utf-8")
    return path


class Prometheus:
    def __init__(self, url: str) -> None:
        self.url = url

    def query(self, expression: str) -> Series:
        """What an expression stands for now; numbers that are none are no data."""
        url = f"{self.url}/api/v1/query?{urllib.parse.urlencode({'query': expression})}"
        with urllib.request.urlopen(url, timeout=10) as response:
            result = json.load(response)["data"]["result"]
        return [each for each in result if each["value"][1] != "NaN"]

    def firing(self) -> set[str]:
        """Alerts whose condition holds, pending ones included."""
        with urllib.request.urlopen(f"{self.url}/api/v1/alerts", timeout=10) as response:
            alerts = json.load(response)["data"]["alerts"]
        return {alert["labels"]["alertname"] for alert in alerts}

    def fires(self, alerts: set[str], within: float) -> bool:
        """Whether all of these are firing, or pending, before so many seconds are over."""
        deadline = time.monotonic() + within
        while not alerts <= self.firing():
            if time.monotonic() > deadline:
                return False
            time.sleep(0.5)
        return True


@contextlib.contextmanager
def scraping(folder: Path, targets: dict[str, dict[str, str]]) -> Iterator[Prometheus]:
    """A Prometheus with our rules that reads each target (HOST:PORT, with labels) every second."""
    jobs = [
        {"job_name": target, "static_configs": [{"targets": [target], "labels": labels}]}
        for target, labels in targets.items()
    ]
    settings = {
        "global": {"scrape_interval": "1s", "evaluation_interval": "1s"},
        "rule_files": [str(write_rules(folder))],
        "scrape_configs": jobs,
    }
    (folder / "prometheus.yaml").write_text(yaml.safe_dump(settings), "utf-8")
    address = free_address()
    with (folder / "prometheus.log").open("w") as log:
        process = subprocess.Popen(
            [
                binary("prometheus"),
                f"--config.file={folder / 'prometheus.yaml'}",
                f"--storage.tsdb.path={folder / 'data'}",
                f"--web.listen-address=127.0.0.1:{address.http}",
            ],
            stdout=log,
            stderr=log,
        )
        try:
            prometheus = Prometheus(f"http://127.0.0.1:{address.http}")
            _wait(prometheus, process, folder / "prometheus.log")
            yield prometheus
        finally:
            process.terminate()
            process.wait(20)


def _wait(prometheus: Prometheus, process: subprocess.Popen[bytes], log: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while time.monotonic() < deadline and process.poll() is None:
        with contextlib.suppress(OSError):
            urllib.request.urlopen(f"{prometheus.url}/-/ready", timeout=2).close()
            return
        time.sleep(0.1)
    raise AssertionError(f"Prometheus does not start: {log.read_text()[-2000:]}")
