"""The manifests: valid, rendered as meant, and in agreement with the server and its images."""

import importlib.util
import json
import math
import os
import re
import subprocess
import sys
import urllib.parse
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml
from PIL import Image

from server import alive, embedded
from server.instances import DECODER, suited_to
from tests.deploy import dockerfile
from tests.deploy.kustomize import Object, load, render, the

ROOT = Path(__file__).parents[2]
KUBERNETES = ROOT / "deploy" / "kubernetes"
OVERLAYS = ("cpu", "gpu")  # and the canary, which is a part of one
VERSIONS = ("1.30", "1.37")  # preStop.sleep came with the first; the newest schemas there are
LABELS = {"app.kubernetes.io/name": "gazecrop"}
OPERATORS_KINDS = {"ServiceMonitor", "PrometheusRule"}  # no schemas; checked by other tests
HEALTH = {
    "startupProbe": "/v2/health/ready",
    "readinessProbe": "/v2/health/ready",
}


@pytest.fixture(params=OVERLAYS)
def overlay(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def objects(overlay: str) -> list[Object]:
    return render(KUBERNETES / "overlays" / overlay)


@pytest.fixture
def pod(objects: list[Object]) -> Object:
    return dict(the(objects, "Deployment")["spec"]["template"]["spec"])


@pytest.fixture
def container(pod: Object) -> Object:
    [container] = pod["containers"]
    return dict(container)


def option(container: Object, name: str) -> str:
    [value] = [arg.split("=", 1)[1] for arg in container["args"] if arg.startswith(f"{name}=")]
    return str(value)


@pytest.mark.parametrize("version", VERSIONS)
def test_valid(objects: list[Object], version: str) -> None:
    for found in [*objects, load(KUBERNETES / "plan" / "pod.yaml")]:
        if found["kind"] not in OPERATORS_KINDS:
            kubernetes_validate.validate(found, version, strict=True)


def test_no_file_is_forgotten() -> None:
    used = {KUBERNETES / "components/prometheus/adapter-values.yaml"}  # read by Helm
    for path in KUBERNETES.rglob("kustomization.yaml"):
        kustomization = load(path)
        names = kustomization.get("resources", [])
        names += [patch["path"] for patch in kustomization.get("patches", [])]
        used |= {path, *(path.parent / name for name in names)}
    there = {path for part in ("base", "components", "overlays", "pod") for path in files(part)}
    assert there <= used


def files(part: str) -> set[Path]:
    return set((KUBERNETES / part).rglob("*.yaml"))


def test_ports_are_the_servers(objects: list[Object], container: Object) -> None:
    address = embedded.Address()
    expected = {"http": address.http, "grpc": address.grpc, "metrics": address.metrics}
    assert {port["name"]: port["containerPort"] for port in container["ports"]} == expected
    service = the(objects, "Service")["spec"]
    del expected["http"]  # for the probes alone
    assert {port["targetPort"]: port["port"] for port in service["ports"]} == expected


def test_probes_ask_triton(container: Object) -> None:
    for probe, path in HEALTH.items():
        assert container[probe]["httpGet"] == {"path": path, "port": "http"}
    [python, *module] = container["livenessProbe"]["exec"]["command"]
    assert (python, module) == ("python3", ["-m", "server.alive"])
    assert container["livenessProbe"]["timeoutSeconds"] > alive.TIMEOUT


def test_starting_takes_no_longer_than_the_startup_probe_waits(container: Object) -> None:
    probe = container["startupProbe"]
    assert probe["periodSeconds"] * probe["failureThreshold"] > embedded.READY_SECONDS


def test_a_pod_drains_before_it_is_killed(pod: Object, container: Object) -> None:
    exit_timeout = int(option(container, "--exit-timeout-secs"))
    assert exit_timeout < embedded.STOP_SECONDS
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pod["terminationGracePeriodSeconds"] >= pause + embedded.STOP_SECONDS + 5


def test_grpc_clients_leave_a_pod_before_it_stops(container: Object) -> None:
    age = int(option(container, "--grpc-max-connection-age")) / 1000 * 1.1  # gRPC's jitter
    between_look_ups, stale_answers = 30, 30  # defaults of gRPC and of CoreDNS
    pause = container["lifecycle"]["preStop"]["sleep"]["seconds"]
    assert pause > age + between_look_ups + stale_answers


def test_hardened(pod: Object, container: Object) -> None:
    assert pod["securityContext"]["runAsNonRoot"]
    assert pod["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not pod["automountServiceAccountToken"]
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    assert {mount["mountPath"] for mount in container["volumeMounts"]} == {"/tmp", "/dev/shm"}


def test_the_memory_limit_holds_what_the_decoders_may_take(pod: Object, container: Object) -> None:
    """By the rule of deploy/README.md."""
    [shm] = [volume["emptyDir"] for volume in pod["volumes"] if volume["name"] == "shm"]
    gibibytes = [shm["sizeLimit"], container["resources"]["limits"]["memory"]]
    shared, limit = (int(each.removesuffix("Gi")) * 2**30 for each in gibibytes)
    cores = int(container["resources"]["requests"]["cpu"])
    assert limit >= shared + suited_to(cores).memory()


def test_a_decoder_takes_no_more_than_the_rule_says(tmp_path: Path) -> None:
    """A progressive JPEG near the bound: libjpeg holds all of its coefficients."""
    side = int((0.99 * 160_000_000 / 3) ** 0.5)
    Image.new("RGB", (side, side), "teal").save(tmp_path / "large.jpg", progressive=True)
    script = (
        "import pathlib, sys; sys.path.insert(0, sys.argv[1]); import photo; "
        "photo.load(pathlib.Path(sys.argv[2]).read_bytes(), 320); "
        "print(pathlib.Path('/proc/self/status').read_text())"
    )
    folder = embedded.MODEL_REPOSITORY / "preprocess" / "1"
    command = [sys.executable, "-c", script, str(folder), str(tmp_path / "large.jpg")]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    [most] = re.findall(r"^VmHWM:\s+(\d+) kB$", done.stdout, re.MULTILINE)
    assert DECODER // 3 < int(most) * 1024 < DECODER


def test_all_select_the_same_pods(objects: list[Object]) -> None:
    deployment = the(objects, "Deployment")
    spec = deployment["spec"]
    assert spec["selector"]["matchLabels"] == {**LABELS, "track": "stable"}
    assert spec["template"]["metadata"]["labels"] == {**LABELS, "track": "stable"}
    selectors = [
        the(objects, "Service")["spec"]["selector"],
        the(objects, "PodDisruptionBudget")["spec"]["selector"]["matchLabels"],
        the(objects, "NetworkPolicy")["spec"]["podSelector"]["matchLabels"],
        *(
            spread["labelSelector"]["matchLabels"]
            for spread in spec["template"]["spec"]["topologySpreadConstraints"]
        ),
    ]
    assert all(selector == LABELS for selector in selectors)
    scaled = the(objects, "HorizontalPodAutoscaler")["spec"]["scaleTargetRef"]
    assert {key: deployment[key] for key in ("apiVersion", "kind")} | {
        "name": deployment["metadata"]["name"]
    } == scaled
    assert "replicas" not in spec  # the autoscaler's


@pytest.mark.parametrize("pods", range(2, 30))
def test_a_pending_pod_does_not_block_drains(objects: list[Object], pods: int) -> None:
    share = str(the(objects, "PodDisruptionBudget")["spec"]["maxUnavailable"])
    assert share.endswith("%")
    unavailable = math.ceil(pods * int(share[:-1]) / 100)  # as Kubernetes rounds
    assert 1 <= unavailable < pods
    assert unavailable > 1 or pods < 5
    scaler = the(objects, "HorizontalPodAutoscaler")["spec"]
    [cpu] = [m["resource"]["target"] for m in scaler["metrics"] if m["type"] == "Resource"]
    assert pods < 4 or cpu["averageUtilization"] * pods / (pods - unavailable) <= 100


def test_a_canary_is_a_deployment_of_its_own_that_gets_traffic(objects: list[Object]) -> None:
    [canary] = render(KUBERNETES / "overlays" / "canary")
    kubernetes_validate.validate(canary, VERSIONS[-1], strict=True)
    stable = the(objects, "Deployment")
    assert canary["metadata"]["name"] == "gazecrop-canary"
    assert canary["metadata"]["namespace"] == stable["metadata"]["namespace"]
    labels = canary["spec"]["template"]["metadata"]["labels"]
    assert canary["spec"]["selector"]["matchLabels"] == labels
    assert not stable["spec"]["selector"]["matchLabels"].items() <= labels.items()
    for kind, where in (("Service", "selector"), ("NetworkPolicy", "podSelector")):
        selector = the(objects, kind)["spec"][where]
        assert selector.get("matchLabels", selector).items() <= labels.items()
    pods = [each["spec"]["template"]["spec"] for each in (canary, the(cpu_objects(), "Deployment"))]
    assert pods[0] == pods[1]
    assert canary["spec"]["replicas"] == 1


def cpu_objects() -> list[Object]:
    return render(KUBERNETES / "overlays" / "cpu")


def test_images_are_named_by_digest(objects: list[Object], pod: Object) -> None:
    others = [KUBERNETES / name for name in ("plan/pod.yaml", "kserve/inferenceservice.yaml")]
    texts = [json.dumps(pod), *(path.read_text("utf-8") for path in others)]
    images = [image for text in texts for image in re.findall(r"registry\.\S+?(?=[\s\"])", text)]
    assert len(images) >= 4
    assert all(re.fullmatch(r"\S+@sha256:[0-9a-f]{64}", image) for image in images)


def test_traces_pass_the_policy_to_the_collector_that_the_server_names(tmp_path: Path) -> None:
    parts = {"resources": "overlays/cpu", "components": "components/tracing"}
    paths = {key: [os.path.relpath(KUBERNETES / part, tmp_path)] for key, part in parts.items()}
    (tmp_path / "kustomization.yaml").write_text(yaml.safe_dump(paths), "utf-8")
    objects = render(tmp_path)
    [container] = the(objects, "Deployment")["spec"]["template"]["spec"]["containers"]
    traces = [arg.split("=", 1)[1] for arg in container["args"] if arg.startswith("--trace-config")]
    [url] = [trace.split("url=")[1] for trace in traces if "url=" in trace]
    collector = urllib.parse.urlsplit(url)
    egress, names = the(objects, "NetworkPolicy")["spec"]["egress"]
    [to] = egress["to"]
    [namespace] = to["namespaceSelector"]["matchLabels"].values()
    [pod] = to["podSelector"]["matchLabels"].values()
    assert collector.hostname == f"{pod}.{namespace}"
    assert egress["ports"] == [{"port": collector.port}]
    assert {port["port"] for port in names["ports"]} == {53}
    for found in objects:
        if found["kind"] not in OPERATORS_KINDS:
            kubernetes_validate.validate(found, VERSIONS[-1], strict=True)


def test_pods_have_a_priority(objects: list[Object], pod: Object) -> None:
    priority = the(objects, "PriorityClass")
    assert pod["priorityClassName"] == priority["metadata"]["name"]
    assert 0 < priority["value"] < 1_000_000_000  # above are the system's


def test_service_monitor(objects: list[Object]) -> None:
    monitor, service = the(objects, "ServiceMonitor"), the(objects, "Service")
    assert monitor["apiVersion"] == "monitoring.coreos.com/v1"
    assert monitor["metadata"]["namespace"] == service["metadata"]["namespace"]
    assert (
        monitor["spec"]["selector"]["matchLabels"].items() <= service["metadata"]["labels"].items()
    )
    [endpoint] = monitor["spec"]["endpoints"]
    assert endpoint["port"] in {port["name"] for port in service["spec"]["ports"]}
    assert endpoint["path"] == "/metrics"


def test_prometheus_may_reach_the_metrics_and_clients_grpc(objects: list[Object]) -> None:
    policy = the(objects, "NetworkPolicy")["spec"]
    clients, monitoring = policy["ingress"]
    assert [port["port"] for port in clients["ports"]] == ["grpc"]
    assert [port["port"] for port in monitoring["ports"]] == ["metrics"]
    assert policy["egress"] == []


def test_container_runs_as_its_image_does(pod: Object, container: Object, overlay: str) -> None:
    image = dockerfile.stage(dockerfile.read(ROOT / "deploy" / "Dockerfile"), overlay)
    command = dockerfile.last(image, "CMD").command()
    assert container["args"][: len(command)] == command
    context = pod["securityContext"]
    user = f"{context['runAsUser']}:{context['runAsGroup']}"
    assert dockerfile.last(image, "USER").value == user


def test_decoders_are_as_many_as_suit_the_requested_cores(container: Object) -> None:
    [cores] = container["env"]
    assert cores["name"] == "CORES"
    assert cores["valueFrom"] == {"resourceFieldRef": {"resource": "requests.cpu"}}
    assert container["resources"]["requests"]["cpu"].isdecimal()


def test_gpu_overlay_selects_the_configuration_and_a_gpu() -> None:
    deployment = the(render(KUBERNETES / "overlays" / "gpu"), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    [container] = pod["containers"]
    assert option(container, "--model-config-name") == "gpu"
    assert container["resources"]["limits"]["nvidia.com/gpu"] == "1"
    config = (embedded.MODEL_REPOSITORY / "preprocess" / "configs" / "gpu.pbtxt").read_text()
    assert f"KIND_GPU count: {container['resources']['requests']['cpu']} }}" in config
    plan = load(KUBERNETES / "plan" / "pod.yaml")["spec"]
    for key in ("nodeSelector", "tolerations"):  # a plan runs where it was made
        assert plan[key] == pod[key]
    [check] = pod["initContainers"]
    assert check["image"] == container["image"]
    assert check["securityContext"] == container["securityContext"]
    assert check["args"][1:3] == ["-m", "export.tensorrt"]
    assert importlib.util.find_spec(check["args"][2])


def test_kserve_runs_the_same_container() -> None:
    deployment = the(render(KUBERNETES / "overlays" / "gpu"), "Deployment")
    pod = deployment["spec"]["template"]["spec"]
    service = load(KUBERNETES / "kserve" / "inferenceservice.yaml")
    assert service["apiVersion"] == "serving.kserve.io/v1beta1"
    predictor = dict(service["spec"]["predictor"])
    scaling = {key: predictor.pop(key) for key in ("minReplicas", "maxReplicas", "scaleTarget")}
    assert scaling["minReplicas"] >= 2
    assert predictor.pop("scaleMetric") == "cpu"
    as_pod: dict[str, Any] = {"apiVersion": "v1", "kind": "Pod", "spec": predictor}
    kubernetes_validate.validate(as_pod, VERSIONS[-1], strict=True)
    [theirs], [ours] = predictor.pop("containers"), pod.pop("containers")
    assert theirs.pop("name") == "kserve-container"  # the name that KServe looks for
    ports = [port | {"protocol": "TCP"} for port in ours.pop("ports")]
    assert theirs.pop("ports") == ports
    ours.pop("name")
    assert theirs == ours
    pod.pop("topologySpreadConstraints")  # KServe sets its own labels
    assert predictor == pod
