"""Build an image and try it, with whichever of docker, podman and buildah is here.

    python -m deploy.image [KIND]           embedded (the default), cpu, gpu or export
    python -m deploy.image [KIND] --check   only say whether it can be built here
    python -m deploy.image --pin-bases      name the Dockerfiles' bases by the digests of now

Trying it is to start it without a network, as user 1000, on a read-only root, and to predict a
photo inside. Beside the image, build/sbom-KIND.json lists what was installed, for CycloneDX.
Where containers run in containers, STORAGE_DRIVER=vfs and BUILDAH_ISOLATION=chroot help.
"""

import argparse
import re
import shutil
import subprocess
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path

import gazecrop

ROOT = Path(__file__).parents[1]
DOCKERFILES = (ROOT / "deploy" / "Dockerfile", ROOT / "deploy" / "embedded.Dockerfile")
BUILD = ROOT / "build"
PATIENCE = 120.0  # seconds, for what only finds out
BASE = re.compile(r"^(FROM )([^\s@]+/[^\s@]+)(?:@sha256:[0-9a-f]{64})?( AS \w+)?$", re.MULTILINE)


class ImageError(Exception):
    """There is no image; the message says why."""


@dataclass(frozen=True)
class Kind:
    """What to build, from what, and how to try it.

    Attributes:
        requirements: the lock that it installs.
        trial: a command that ends with status 0 if the image works; None where that takes a GPU.
    """

    dockerfile: str
    target: str | None
    requirements: str
    trial: list[str] | None


_WHILE_SERVING = ["python", "-m", "server", "--", "python", "-m", "server.alive"]
_ONCE_SERVING = "for second in $(seq 60); do python3 -m server.alive && exit; sleep 1; done; exit 1"
_NATIVE = ["sh", "-c", f"python3 -m server.native & {_ONCE_SERVING}"]
KINDS = {
    "embedded": Kind("embedded.Dockerfile", None, "embedded.txt", _WHILE_SERVING),
    "cpu": Kind("Dockerfile", "cpu", "triton.txt", _NATIVE),
    "gpu": Kind("Dockerfile", "gpu", "gpu.txt", None),
    "export": Kind("Dockerfile", "export", "export.txt", None),
}


def builder() -> str:
    """docker, if its engine answers, or podman, or buildah.

    Raises:
        ImageError: there is none of them.
    """
    for name, question in (("docker", "info"), ("podman", "info"), ("buildah", "info")):
        if shutil.which(name) and _succeeds(name, question):
            return name
    raise ImageError("neither docker (with its engine running) nor podman nor buildah is here")


def check(tool: str, kind: Kind) -> None:
    """Have the image's base here, and see that its containers run.

    Raises:
        ImageError: its registry does not give it, or containers do not run here.
    """
    text = (ROOT / "deploy" / kind.dockerfile).read_text("utf-8")
    [base] = [found[0].split()[1] for found in BASE.finditer(text)]
    if not _succeeds(tool, "pull", base) and not _succeeds(tool, "inspect", base):
        raise ImageError(f"{tool} cannot pull {base}, nor is it here")
    probe = "gazecrop:probe"
    with tempfile.TemporaryDirectory() as folder:
        (Path(folder) / "Dockerfile").write_text(f"FROM {base}\nRUN true\n")
        works = _succeeds(tool, "build", "--tag", probe, folder)
    if works and tool != "buildah":
        works = _succeeds(tool, "run", "--rm", "--network", "none", probe, "true")
    if not works:
        raise ImageError(f"{tool} is here, but runs no containers")


def build(tool: str, kind: Kind, tag: str) -> None:
    """Build it, under a tag.

    Raises:
        ImageError: a step failed; the builder said which.
    """
    docker_format = [] if tool == "docker" else ["--format", "docker"]  # that of HEALTHCHECK
    target = ["--target", kind.target] if kind.target else []
    file = ["--file", f"deploy/{kind.dockerfile}"]
    ignore = ["--ignorefile", f"deploy/{kind.dockerfile}.dockerignore"]
    _run(
        tool,
        "build",
        *docker_format,
        *file,
        *([] if tool == "docker" else ignore),
        *target,
        "--tag",
        tag,
        ".",
    )


def try_out(tool: str, tag: str, command: list[str]) -> None:
    """Run it as production does, and predict.

    Raises:
        ImageError: it does not work; its log says why.
    """
    if tool == "buildah":
        container = _output("buildah", "from", tag)
        try:
            _run("buildah", "run", "--user", "1000:1000", container, "--", *command)
        finally:
            _run("buildah", "rm", container)
        return
    confined = ["--read-only", "--tmpfs", "/tmp:exec", "--shm-size", "256m", "--network", "none"]
    _run(tool, "run", "--rm", *confined, tag, *command)


def list_contents(name: str, kind: Kind) -> Path:
    """Write what is installed into an image as an SBOM of CycloneDX."""
    BUILD.mkdir(exist_ok=True)
    path = BUILD / f"sbom-{name}.json"
    lock = ROOT / "deploy" / "requirements" / kind.requirements
    tool = Path(sys.executable).with_name("cyclonedx-py")
    project = ["--pyproject", str(ROOT / "pyproject.toml")]
    _run(str(tool), "requirements", *project, "--output-reproducible", "-o", str(path), str(lock))
    return path


def pin_bases(tool: str) -> None:
    """Name the bases in the Dockerfiles by the digests that their tags have now.

    Raises:
        ImageError: a registry does not tell.
    """
    if tool == "buildah":
        raise ImageError("pinning takes docker or podman: buildah does not tell a base's digest")
    for path in DOCKERFILES:
        text = path.read_text("utf-8")
        digests = {name: _digest(tool, name) for _, name, _ in BASE.findall(text)}
        path.write_text(pinned(text, digests), "utf-8")


def pinned(dockerfile: str, digests: dict[str, str]) -> str:
    """A Dockerfile whose bases (NAME:TAG) have these digests."""
    return BASE.sub(
        lambda found: f"{found[1]}{found[2]}@{digests[found[2]]}{found[3] or ''}", dockerfile
    )


def _digest(tool: str, name: str) -> str:
    _run(tool, "pull", name)
    first = "{{index .RepoDigests 0}}"
    return _output(tool, "image", "inspect", "--format", first, name).partition("@")[2]


def _succeeds(*command: str) -> bool:
    try:
        done = subprocess.run(command, capture_output=True, check=False, timeout=PATIENCE)
    except subprocess.TimeoutExpired:
        return False
    return done.returncode == 0


def _run(*command: str) -> None:
    print("+", " ".join(command), flush=True)
    done = subprocess.run(command, cwd=ROOT, check=False)
    if done.returncode:
        raise ImageError(f"{command[0]} {command[1]} ended with status {done.returncode}")


def _output(*command: str) -> str:
    done = subprocess.run(command, cwd=ROOT, stdout=subprocess.PIPE, text=True, check=False)
    if done.returncode:
        raise ImageError(f"{command[0]} {command[1]} ended with status {done.returncode}")
    return done.stdout.strip()


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m deploy.image",
        description=__doc__,
        formatter_class=argparse.RawTextHelpFormatter,
    )
    parser.add_argument("kind", nargs="?", choices=KINDS, default="embedded")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--pin-bases", action="store_true")
    args = parser.parse_args()
    kind, tag = KINDS[args.kind], f"gazecrop:{gazecrop.__version__}-{args.kind}"
    try:
        tool = builder()
        if args.pin_bases:
            pin_bases(tool)
            return 0
        if args.check:
            check(tool, kind)
            return 0
        build(tool, kind, tag)
        if kind.trial is None:
            print(f"{tag} is built, and not tried: that takes a GPU")
        else:
            try_out(tool, tag, kind.trial)
            print(f"{tag} is built and predicts")
        print(f"what it installs: {list_contents(args.kind, kind)}")
    except ImageError as error:
        print(f"error: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
