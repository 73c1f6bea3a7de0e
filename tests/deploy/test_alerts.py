"""The alerts, by promtool on series of hours that were made up: which fire, and which do not."""

import re
import subprocess
from dataclasses import dataclass, field
from pathlib import Path

import pytest
import yaml

from tests.deploy import prometheus
from tests.deploy.kustomize import load

RUNBOOK = Path(__file__).parents[2] / "deploy" / "runbook.md"
LABELS = 'namespace="gazecrop",pod="gazecrop-0",track="stable"'
MINUTES = 8 * 60


@dataclass(frozen=True)
class Hours:
    """A server's hours, in photos a minute; `counted` is how often Triton counts a failure."""

    answered: int = 1000
    unusable: int = 10
    refused: int = 0
    broken: int = 0
    defects: int = 0
    counted: int = 2
    p99_milliseconds: int = 50
    memory_share: float = 0.5
    restarts: bool = False
    told: bool = True
    alerts: set[str] = field(default_factory=set)

    def series(self) -> list[dict[str, str]]:
        if not self.told:
            return []
        failures = self.counted * (self.unusable + self.refused + self.broken + self.defects)
        values = {
            'nv_inference_request_success{model="saliency"': self._counter(self.answered),
            'nv_inference_request_failure{model="saliency",reason="OTHER"': self._counter(failures),
            'nv_inference_request_failure{model="preprocess",reason="BACKEND"': self._counter(
                self.broken
            ),
            'gazecrop_decode_seconds_count{format="JPEG"': self._counter(self.answered),
            'gazecrop_undecoded_photos_total{cause="unusable"': self._counter(self.unusable),
            'gazecrop_undecoded_photos_total{cause="defect"': self._counter(self.defects),
            'nv_inference_request_summary_us{model="saliency",quantile="0.99"': (
                f"{1000 * self.p99_milliseconds}+0x{MINUTES}"
            ),
            'container_memory_working_set_bytes{container="triton"': (
                f"{self.memory_share}+0x{MINUTES}"
            ),
            'kube_pod_container_resource_limits{container="triton",resource="memory"': (
                f"1+0x{MINUTES}"
            ),
        }
        return [{"series": f"{name},{LABELS}}}", "values": value} for name, value in values.items()]

    def _counter(self, per_minute: int) -> str:
        if not self.restarts:
            return f"0+{per_minute}x{MINUTES}"
        return " ".join([f"0+{per_minute}x14"] * (MINUTES // 15 + 1))


HOURS = {
    "quiet": Hours(),
    "nobody calls": Hours(answered=0, unusable=0),
    "unusable photos": Hours(unusable=1000, alerts={"GazecropManyUnusable"}),
    "full queues": Hours(
        refused=50,
        alerts={"GazecropNotAnswering", "GazecropNotAnsweringSlowly", "GazecropRefusing"},
    ),
    "few refusals": Hours(refused=3, alerts={"GazecropNotAnsweringSlowly"}),
    "a dead decoder": Hours(
        broken=500,
        alerts={"GazecropNotAnswering", "GazecropNotAnsweringSlowly", "GazecropDecoderDown"},
    ),
    "all decoders dead": Hours(
        answered=0,
        unusable=0,
        broken=1000,
        alerts={"GazecropNotAnswering", "GazecropNotAnsweringSlowly", "GazecropDecoderDown"},
    ),
    "a defect": Hours(defects=1, alerts={"GazecropDefect"}),
    "slow": Hours(p99_milliseconds=800, alerts={"GazecropSlow", "GazecropSlowForDays"}),
    "little memory left": Hours(memory_share=0.95, alerts={"GazecropMemory"}),
    "restarts": Hours(restarts=True, alerts={"GazecropRestarts"}),
    "no server": Hours(told=False, alerts={"GazecropDown"}),
    "another Triton": Hours(counted=1, refused=3, alerts={"GazecropMiscounted"}),
}


def test_rules_are_well_formed(tmp_path: Path) -> None:
    promtool("check", "rules", str(prometheus.write_rules(tmp_path)))


@pytest.mark.parametrize("name", HOURS)
def test_the_alerts_of_such_hours(name: str, tmp_path: Path) -> None:
    hours = HOURS[name]
    expected = [{"labels": f'{{alertname="{each}"}}', "value": 1} for each in hours.alerts]
    query = {
        "expr": 'group by (alertname) (ALERTS{alertstate="firing"})',
        "eval_time": f"{MINUTES - 1}m",
        "exp_samples": expected,
    }
    test = {"interval": "1m", "input_series": hours.series(), "promql_expr_test": [query]}
    rules = prometheus.write_rules(tmp_path)
    plan = tmp_path / "test.yaml"
    plan.write_text(yaml.safe_dump({"rule_files": [rules.name], "tests": [test]}), "utf-8")
    promtool("test", "rules", str(plan))


def test_every_alert_fires_in_some_hours_and_has_a_page() -> None:
    groups = load(prometheus.RULES)["spec"]["groups"]
    alerts = [rule for group in groups for rule in group["rules"] if "alert" in rule]
    names = {alert["alert"] for alert in alerts}
    assert names == set().union(*(hours.alerts for hours in HOURS.values()))
    headings = re.findall(r"^## (\w+)$", RUNBOOK.read_text("utf-8"), re.MULTILINE)
    assert names == set(headings)
    for alert in alerts:
        page = alert["annotations"]["runbook_url"]
        assert page.endswith(f"/deploy/runbook.md#{alert['alert'].lower()}")
        assert alert["labels"]["severity"] in {"critical", "warning"}


def promtool(*arguments: str) -> None:
    done = subprocess.run(
        [prometheus.binary("promtool"), *arguments], capture_output=True, text=True, check=False
    )
    assert done.returncode == 0, done.stdout + done.stderr
