"""The recipes run as they stand in docs/recipes.md, each with the real package."""

import contextlib
import os
import re
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import gazecrop
import httpx2
import pytest
from PIL import Image

from tests.conftest import encode, free_address

DOCUMENT = Path(__file__).parents[2] / "docs" / "recipes.md"
SECONDS = 60  # for a program to start, on a busy machine

DJANGO = """
import views
from django.conf import settings
from django.core.asgi import get_asgi_application
from django.urls import path

settings.configure(ROOT_URLCONF=__name__, ALLOWED_HOSTS=["*"], FILE_UPLOAD_MAX_MEMORY_SIZE=1000)
urlpatterns = [path("crops", views.crops)]
application = get_asgi_application()
"""
CELERY = """
broker_url = "filesystem://"
broker_transport_options = {"data_folder_in": "queue", "data_folder_out": "queue"}
result_backend = "file://results"
"""


@pytest.fixture
def recipes(tmp_path: Path, grpc: str, photo: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with all of them, and a photo."""
    monkeypatch.setenv("GAZECROP_SERVER", grpc)
    programs = re.findall(r"```python\n# (\w+\.py)\n(.*?)```", DOCUMENT.read_text(), re.DOTALL)
    assert len(programs) == 5
    for name, program in programs:
        (tmp_path / name).write_text(program)
    return tmp_path


@contextlib.contextmanager
def running(folder: Path, *command: str) -> Iterator[subprocess.Popen[bytes]]:
    with (folder / "log").open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, "-m", *command], cwd=folder, stdout=log, stderr=log
        )
        try:
            yield process
        finally:
            process.terminate()
            process.wait(SECONDS)


@contextlib.contextmanager
def served(folder: Path, application: str) -> Iterator[httpx2.Client]:
    """A web service under uvicorn."""
    port = str(free_address().http)
    with (
        running(folder, "uvicorn", application, "--port", port) as process,
        httpx2.Client(base_url=f"http://127.0.0.1:{port}", timeout=SECONDS, trust_env=False) as web,
    ):
        deadline = time.monotonic() + SECONDS
        while True:
            try:
                web.get("/")
                break
            except httpx2.ConnectError:
                assert process.poll() is None, (folder / "log").read_text()
                assert time.monotonic() < deadline
                time.sleep(0.05)
        yield web


def test_fastapi(recipes: Path, photo: Path) -> None:
    with served(recipes, "web:app") as web:
        answer = web.post("/thumbnail", files={"photo": photo.read_bytes()})
        assert answer.status_code == 200, (recipes / "log").read_text()
        (recipes / "thumbnail").write_bytes(answer.content)
        with Image.open(recipes / "thumbnail") as thumbnail:
            assert (thumbnail.format, thumbnail.size) == ("WEBP", (400, 300))
        assert web.post("/thumbnail", files={"photo": b"no photo"}).status_code == 422


def test_django(recipes: Path, photo: Path, client: gazecrop.Client) -> None:
    """With an upload in memory, and one in a file."""
    (recipes / "site_of_crops.py").write_text(DJANGO)
    small = encode(Image.new("L", (16, 9)), "PNG")
    assert len(small) < 1000 < photo.stat().st_size
    with served(recipes, "site_of_crops:application") as web:
        for upload in (small, photo.read_bytes()):
            answer = web.post("/crops", files={"photo": ("photo", upload)})
            assert answer.status_code == 200, (recipes / "log").read_text()
            assert answer.json()["square"] == client.crop(upload, "1:1").to_dict()
            with Image.open(recipes / "square.jpg") as square:
                assert square.size == (200, 200)
        assert web.post("/crops", files={"photo": ("photo", b"no photo")}).status_code == 422


def test_celery(recipes: Path, photo: Path, client: gazecrop.Client) -> None:
    (recipes / "celeryconfig.py").write_text(CELERY)
    (recipes / "results").mkdir()
    (recipes / "queue").mkdir()
    (recipes / "ask.py").write_text(
        "import sys, tasks\n"
        "calls = [tasks.crop.delay(sys.argv[1], '1:1') for _ in range(6)]\n"
        f"print(*[call.get(timeout={SECONDS})['left'] for call in calls])\n"
    )
    worker = ("celery", "-A", "tasks", "worker", "--pool", "prefork", "--concurrency", "2")
    with running(recipes, *worker, "--without-gossip", "--without-mingle"):
        left = client.crop(photo, "1:1").rect.left
        assert output(recipes, "ask.py", photo).split() == [str(left)] * 6, log(recipes)


def test_ray(recipes: Path, photo: Path, client: gazecrop.Client) -> None:
    rect = client.crop(photo, "1:1").rect
    assert output(recipes, "sort.py", photo, photo) == f"{' '.join(map(str, rect))}\n" * 2


def test_asyncio(recipes: Path, photo: Path, client: gazecrop.Client) -> None:
    (recipes / "none.jpg").write_bytes(b"no photo")
    first, second, third = output(
        recipes, "stream.py", photo, recipes / "none.jpg", photo
    ).splitlines()
    assert first == third == " ".join(map(str, client.crop(photo, "16:9").rect))
    assert "not an image" in second


def output(folder: Path, program: str, *photos: Path) -> str:
    environment = {**os.environ, "RAY_USAGE_STATS_ENABLED": "0"}
    done = subprocess.run(
        [sys.executable, program, *map(str, photos)],
        cwd=folder, env=environment, capture_output=True, text=True, timeout=4 * SECONDS,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr + log(folder)
    return done.stdout


def log(folder: Path) -> str:
    file = folder / "log"
    return file.read_text() if file.exists() else ""
