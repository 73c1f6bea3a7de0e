"""The Dockerfiles: linted, and the steps of the CPU image run for real."""

import fnmatch
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import venv
from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import gazecrop
import pytest
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet
from packaging.utils import canonicalize_name

from deploy import image
from server import embedded
from tests.conftest import free_address
from tests.deploy import dockerfile

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

ROOT = Path(__file__).parents[2]
DEPLOY = ROOT / "deploy"
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
LOCKS = {  # and the extras in them
    "embedded.txt": ["server"],
    "export.txt": ["tensorrt", "tensorrt-bindings"],
    "gpu.txt": ["decoding", "dali"],
    "triton.txt": ["decoding"],
}
DOCKERFILES = ("Dockerfile", "embedded.Dockerfile")


def pins() -> dict[str, str]:
    lines = (DEPLOY / "constraints.txt").read_text("utf-8").splitlines()
    return dict(line.split("==") for line in lines if not line.startswith("#"))


@pytest.mark.parametrize("name", DOCKERFILES)
def test_lint(name: str) -> None:
    hadolint = Path(sys.executable).with_name("hadolint")
    done = subprocess.run([hadolint, DEPLOY / name], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.mark.parametrize("name", DOCKERFILES)
def test_users_have_numbers_and_are_not_root(name: str) -> None:
    """Kubernetes cannot tell from a name whether it is root."""
    users = [each.value for each in dockerfile.read(DEPLOY / name) if each.name == "USER"]
    assert users
    assert all(re.fullmatch(r"[1-9]\d*:[1-9]\d*", user) for user in users)


@pytest.mark.parametrize("name", DOCKERFILES)
def test_what_is_copied_is_there_and_sent_to_the_builder(name: str) -> None:
    rules = (DEPLOY / f"{name}.dockerignore").read_text("utf-8").split()
    assert rules[0] == "*"
    sent = {rule.removeprefix("!") for rule in rules if rule.startswith("!")}
    copied = {
        source
        for each in dockerfile.read(DEPLOY / name)
        if each.name == "COPY"
        for source in each.words()[:-1]
    }
    for source in copied:
        assert (ROOT / source).exists()
        assert sent & {source, *map(str, Path(source).parents)}
    for rule in sent:
        assert any(Path(source).is_relative_to(rule) for source in copied)


def test_the_plan_is_sent_to_the_builder_of_the_gpu_image_alone() -> None:
    for name, ignored in (("Dockerfile", False), ("embedded.Dockerfile", True)):
        rules = (DEPLOY / f"{name}.dockerignore").read_text("utf-8").split()
        plan = "model_repository/student/1/model.plan"
        matching = [rule for rule in rules[1:] if rule[0] != "!" and fnmatch.fnmatch(plan, rule)]
        assert bool(matching) is ignored


def locked(name: str) -> dict[str, str]:
    """The versions in a lock."""
    text = (DEPLOY / "requirements" / name).read_text("utf-8")
    return dict(re.findall(r"^([\w.-]+)==(\S+)", text, re.MULTILINE))


def declared(*extras: str) -> dict[str, SpecifierSet]:
    ranges: dict[str, SpecifierSet] = {}
    packages = PROJECT["dependencies"] + [each for name in extras for each in extra(name)]
    for requirement in map(Requirement, packages):
        ranges.setdefault(canonicalize_name(requirement.name), SpecifierSet())
        ranges[canonicalize_name(requirement.name)] &= requirement.specifier
    return ranges


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_all_that_is_declared_within_its_ranges(name: str) -> None:
    versions, ranges = locked(name), declared(*LOCKS[name])
    assert set(ranges) <= set(versions), "run make lock"
    for package, allowed in ranges.items():
        assert allowed.contains(versions[package]), package
    for package, version in pins().items():
        assert versions.get(package, version) == version, package


@pytest.mark.parametrize("name", LOCKS)
def test_a_lock_has_a_hash_for_each_package(name: str) -> None:
    text = (DEPLOY / "requirements" / name).read_text("utf-8")
    packages = re.split(r"^(?=\S)", text, flags=re.MULTILINE)[1:]
    assert len(packages) == len(locked(name))
    for package in packages:
        assert re.search(r"--hash=sha256:[0-9a-f]{64}", package), package


@pytest.mark.parametrize("name", DOCKERFILES)
def test_images_install_locks_alone(name: str) -> None:
    installs = [
        " ".join(each.value.split(" && ")[0].split())
        for each in dockerfile.read(DEPLOY / name)
        if each.name == "RUN" and "pip install" in each.value
    ]
    assert installs
    for install in installs:
        assert "--require-hashes --only-binary :all:" in install
        assert re.fullmatch(
            r"pip install [^&;|]*--requirement deploy/requirements/\w+\.txt", install
        )


@pytest.mark.parametrize("name", DOCKERFILES)
def test_bases_are_pinned_by_digest(name: str) -> None:
    """Here in a copy: the digests of the real bases are their registries' to tell."""
    text = (DEPLOY / name).read_text("utf-8")
    [base] = [base for _, base, _ in image.BASE.findall(text)]
    digest = "sha256:" + "a" * 64
    pinned = image.pinned(text, {base: digest})
    assert f"FROM {base}@{digest}" in pinned
    assert image.pinned(pinned, {base: digest}) == pinned


@pytest.mark.parametrize("name", sorted(image.KINDS))
def test_what_is_in_an_image_is_listed(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(image, "BUILD", tmp_path)
    kind = image.KINDS[name]
    listed = json.loads(image.list_contents(name, kind).read_text("utf-8"))
    assert listed["bomFormat"] == "CycloneDX"
    components = {each["name"]: each for each in listed["components"]}
    assert {key: each["version"] for key, each in components.items()} == locked(kind.requirements)
    assert all(each["purl"].startswith("pkg:pypi/") for each in components.values())


def test_without_a_builder_it_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "")
    with pytest.raises(image.ImageError, match="neither docker"):
        image.builder()


def test_no_version_is_declared_twice_in_the_extras() -> None:
    extras = PROJECT["optional-dependencies"].values()
    names = Counter(Requirement(each).name for declared in extras for each in declared)
    del names["gazecrop"]
    assert [name for name, times in names.items() if times > 1] == []


def extra(name: str) -> list[str]:
    """Its packages, and those of the extras that it takes in."""
    packages = []
    for declared in PROJECT["optional-dependencies"][name]:
        requirement = Requirement(declared)
        inner = [extra(each) for each in requirement.extras if requirement.name == "gazecrop"]
        packages += [each for found in inner for each in found] or [declared]
    return packages


def test_all_that_the_models_import_is_in_the_image_of_nvidias_triton() -> None:
    sources = " ".join(
        path.read_text("utf-8") for path in (ROOT / "model_repository").rglob("*.py")
    )
    imported = set(re.findall(r"^(?:import|from) (\w+)", sources, re.MULTILINE))
    needed = {embedded.PACKAGES[module] for module in imported if module in embedded.PACKAGES}
    copied = [
        each.words() for each in dockerfile.read(DEPLOY / "Dockerfile") if each.name == "COPY"
    ]
    assert "gazecrop" in needed
    assert ["client/gazecrop", "gazecrop"] in copied
    assert needed - {"gazecrop"} <= set(locked("triton.txt"))


def test_one_version_of_tensorrt() -> None:
    text = (DEPLOY / "Dockerfile").read_text("utf-8")
    [version] = set(re.findall(r"TensorRT (\d+(?:\.\d+){3})", text))
    assert locked("export.txt")["tensorrt-cu12-bindings"] == version


@pytest.fixture(scope="module")
def unpacked(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, dict[str, str]]:
    """What embedded.Dockerfile builds, in a folder: its working directory and its environment.

    Not the same: the files lie in that folder instead of /, a clean virtual environment stands
    for the Python of the base image, and pip may use its cache.
    """
    root = tmp_path_factory.mktemp("image")
    python = root / "usr"
    venv.create(python, with_pip=True, symlinks=True)
    inherited = {key: os.environ[key] for key in os.environ if not key.startswith("PYTHON")}
    environment = inherited | {
        "PATH": f"{python / 'bin'}{os.pathsep}{os.environ['PATH']}",
        "PIP_QUIET": "1",
    }
    workdir = root
    for each in dockerfile.read(DEPLOY / "embedded.Dockerfile"):
        if each.name == "ENV":
            environment |= each.variables()
            environment.pop("PIP_NO_CACHE_DIR", None)
        elif each.name == "WORKDIR":
            workdir = root / each.value.lstrip("/")
            workdir.mkdir(parents=True)
        elif each.name == "COPY":
            copy(each.words(), workdir)
        elif each.name == "RUN":
            subprocess.run(["sh", "-ec", each.value], cwd=workdir, env=environment, check=True)
        else:
            assert each.name in {"FROM", "EXPOSE", "USER", "HEALTHCHECK", "CMD"}
    return workdir, environment


def copy(words: list[str], workdir: Path) -> None:
    *sources, target = words
    for source in map(ROOT.joinpath, sources):
        if source.is_dir():
            ignored = shutil.ignore_patterns("__pycache__", "*.plan")
            shutil.copytree(source, workdir / target, ignore=ignored)
        elif target.endswith("/"):
            (workdir / target).mkdir(parents=True, exist_ok=True)
            shutil.copy(source, workdir / target)
        else:
            shutil.copy(source, workdir / target)


@pytest.fixture
def container(
    unpacked: tuple[Path, dict[str, str]], tmp_path: Path
) -> Iterator[tuple[subprocess.Popen[bytes], embedded.Address, dict[str, str]]]:
    """The image's command, on free ports."""
    workdir, environment = unpacked
    address = free_address()
    environment = environment | {
        "HTTP_PORT": str(address.http),
        "GRPC_PORT": str(address.grpc),
        "METRICS_PORT": str(address.metrics),
    }
    command = dockerfile.last(dockerfile.read(DEPLOY / "embedded.Dockerfile"), "CMD").command()
    log = tmp_path / "log"
    with log.open("w") as file:
        process = subprocess.Popen(
            command, cwd=workdir, env=environment, stdout=subprocess.PIPE, stderr=file
        )
        assert process.stdout is not None
        assert b"serves" in process.stdout.readline(), log.read_text()
        yield process, address, environment
        process.terminate()
        process.wait(30)


def files(folder: Path) -> dict[Path, int]:
    """When each was written. Python does without its byte code where it may not write."""
    paths = (path for path in folder.rglob("*") if "__pycache__" not in path.parts)
    return {path: path.lstat().st_mtime_ns for path in paths if not path.is_dir()}


def test_embedded_image_serves_writes_nothing_and_stops(
    unpacked: tuple[Path, dict[str, str]],
    request: pytest.FixtureRequest,
    photo: Path,
) -> None:
    root = unpacked[0].parents[1]
    before = files(root)
    process, address, environment = request.getfixturevalue("container")
    health = dockerfile.last(
        dockerfile.read(DEPLOY / "embedded.Dockerfile"), "HEALTHCHECK"
    ).command()

    assert subprocess.run(health, cwd=unpacked[0], env=environment, check=False).returncode == 0
    with gazecrop.Client(f"127.0.0.1:{address.grpc}", timeout=20) as client:
        assert abs(client.predict(photo).density.sum() - 1) < 1e-4
    assert listening(address) == {"00000000"}  # 0.0.0.0
    assert files(root) == before  # so the root file system may be read-only

    process.send_signal(signal.SIGTERM)
    assert process.wait(2 * embedded.STOP_SECONDS) == 0
    ended = subprocess.run(
        health, cwd=unpacked[0], env=environment, stderr=subprocess.DEVNULL, check=False
    )
    assert ended.returncode != 0


def listening(address: embedded.Address) -> set[str]:
    rows = [row.split() for row in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    ports = (address.http, address.grpc, address.metrics)
    return {
        local.split(":")[0]
        for _, local, _, state, *_ in rows
        if int(local.split(":")[1], 16) in ports and state == "0A"
    }
