"""The web front over HTTP, on a real server."""

import asyncio
import io
import json
import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import gazecrop
import hypothesis.strategies as st
import jsonschema
import numpy as np
import openapi_spec_validator
import pytest
from gazecrop.web import Limits, application
from hypothesis import given
from numpy.typing import NDArray
from PIL import Image
from starlette.testclient import TestClient

from tests.conftest import encode

STATIC = Path(gazecrop.__file__).parent / "web" / "static"
OPENAPI = json.loads((STATIC / "openapi.json").read_text("utf-8"))
AS_JSON = {"content-type": "application/json"}
NOBODY = "127.0.0.1:1"
Pixels = NDArray[np.uint8]
Opened = Callable[..., TestClient]


@pytest.fixture
def opened(grpc: str, request: pytest.FixtureRequest) -> Opened:
    """A front with a server and limits of its own."""

    def open_front(address: str = grpc, timeout: float = 20, **limits: Any) -> TestClient:
        app = application(lambda: gazecrop.AsyncClient(address, timeout), Limits(**limits))
        front = TestClient(app).__enter__()
        request.addfinalizer(lambda: front.__exit__(None, None, None))
        return front

    return open_front


@pytest.fixture(scope="module")
def front(grpc: str) -> Iterator[TestClient]:
    with TestClient(application(lambda: gazecrop.AsyncClient(grpc, 20))) as front:
        yield front


@pytest.fixture(scope="module")
def upload(astronaut: Pixels) -> bytes:
    return encode(astronaut[:400])


@pytest.fixture(scope="module")
def saliency(client: gazecrop.Client, upload: bytes) -> gazecrop.Saliency:
    return client.predict(upload)


def check(path: str, response: Any) -> Any:
    """Hold an answer against the OpenAPI description; its JSON."""
    (described,) = OPENAPI["paths"][path].values()
    content = described["responses"][str(response.status_code)]["content"]
    schema = content[response.headers["content-type"]]["schema"]
    jsonschema.validate(response.json(), {**schema, "components": OPENAPI["components"]})
    return response.json()


def test_windows_of_a_photo(front: TestClient, upload: bytes, saliency: gazecrop.Saliency) -> None:
    response = front.post("/crops?ratio=16:9&ratio=0.8", content=upload)
    answer = check("/crops", response)
    assert answer["size"] == list(saliency.size)
    assert answer["salient_point"] == list(saliency.salient_point)
    assert answer["crops"] == {ratio: saliency.crop(ratio).to_dict() for ratio in ("16:9", "0.8")}
    assert response.headers["cache-control"] == "no-store"


def test_windows_of_a_form(front: TestClient, upload: bytes, saliency: gazecrop.Saliency) -> None:
    fields = {"ratio": ["2:1"], "focus": "400,350", "avoid": ["0,0,20,20", "500,0,5,5"]}
    answer = check("/crops", front.post("/crops", files={"photo": upload}, data=fields))
    expected = saliency.crop("2:1", focus=(400, 350), avoid=[(0, 0, 20, 20), (500, 0, 5, 5)])
    assert answer["crops"] == {"2:1": expected.to_dict()}


@pytest.mark.parametrize(
    ("query", "options"),
    [
        ("focus=10,20,30,40", {"focus": (10, 20, 30, 40)}),
        ("keep=0,60,7.5,8&keep=1,1,1,1", {"keep": [(0, 60, 7.5, 8), (1, 1, 1, 1)]}),
        ("avoid=90,0,10,10", {"avoid": [(90, 0, 10, 10)]}),
        ("zoom=1.3", {"zoom": 1.3}),
        ("tolerance=0", {"tolerance": 0}),
        ("min_kept=0.97", {"min_kept": 0.97}),
        ("method=point", {"method": "point"}),
    ],
)
def test_every_option_arrives(
    front: TestClient,
    upload: bytes,
    saliency: gazecrop.Saliency,
    query: str,
    options: gazecrop.CropOptions,
) -> None:
    answer = front.post(f"/crops?ratio=1:2&{query}", content=upload).json()
    assert answer["crops"]["1:2"] == saliency.crop("1:2", **options).to_dict()


def test_a_stored_saliency_needs_no_prediction(
    front: TestClient, opened: Opened, upload: bytes
) -> None:
    query = "ratio=1:2&ratio=2:1&candidates=3"
    first = check("/crops", front.post(f"/crops?{query}&saliency=1", content=upload))
    stored = first.pop("saliency")
    second = check("/crops", opened(NOBODY, timeout=0.5).post(f"/crops?{query}", json=stored))
    assert second == first
    assert max(len(crops) for crops in first["candidates"].values()) > 1


@pytest.mark.parametrize("format", ["jpeg", "png", "webp"])
def test_a_thumbnail(
    front: TestClient, client: gazecrop.Client, upload: bytes, format: str
) -> None:
    query = {"size": "200x100", "format": format, "focus_fraction": "0.9,0.9", "quality": 60}
    response = front.post("/thumbnail", params=query, content=upload)
    assert response.status_code == 200
    assert response.headers["content-type"] == f"image/{format}"
    assert response.content == client.thumbnail(
        upload, (200, 100), format=format, focus_fraction=(0.9, 0.9), quality=60
    )
    assert Image.open(io.BytesIO(response.content)).size == (200, 100)


def test_a_thumbnail_that_the_caller_has_is_not_sent(front: TestClient, upload: bytes) -> None:
    first, second = (
        front.post(f"/thumbnail?size={size}", content=upload) for size in ("90x90", "80x80")
    )
    tag = first.headers["etag"]
    assert re.fullmatch(r'"[0-9a-f]+"', tag)
    assert tag != second.headers["etag"]
    assert first.headers["cache-control"] == "max-age=86400"
    known = {"If-None-Match": f'"other", W/{tag}'}
    again = front.post("/thumbnail?size=90x90", content=upload, headers=known)
    assert (again.status_code, again.content) == (304, b"")
    assert again.headers["etag"] == tag
    other = front.post("/thumbnail?size=80x80", content=upload, headers=known)
    assert other.content == second.content


@pytest.mark.parametrize(
    ("query", "reason"),
    [
        ("ratio=0:1", "aspect ratio"),
        ("ratio=wide", "aspect ratio"),
        ("ratios=1:1", "unknown parameters: ratios; known: ratio, focus"),
        ("focus=here", "focus is numbers with commas between, not 'here'"),
        ("focus=1,2,3", "focus is (left, top, width, height) or (x, y)"),
        ("focus=1,2,3,4,5", "focus is numbers"),
        ("focus=1,1&focus=2,2", "focus is given 2 times"),
        ("focus=nan,1", "focus"),
        ("focus=9000,1", "lies outside the photo of 512×400 pixels"),
        ("zoom=1,2", "zoom is a number"),
        ("zoom=0", "zoom is"),
        ("zoom=inf", "zoom is"),
        ("tolerance=2", "tolerance is"),
        ("method=best", "method is"),
        ("candidates=17", "candidates is a whole number from 0 to 16"),
        ("candidates=²", "candidates is a whole number"),
        ("candidates=2&method=centre", "leave the method out"),
        ("&".join(["keep=0,0,1,1"] * 65), "keep is given 65 times; at most 64 are"),
    ],
)
def test_what_makes_no_sense_is_a_bad_request(
    front: TestClient, upload: bytes, query: str, reason: str
) -> None:
    response = front.post(f"/crops?{query}", content=upload)
    answer = check("/crops", response)
    assert (response.status_code, answer["status"]) == (400, 400)
    assert reason in answer["detail"]
    assert answer["error"] == "InvalidArgument"


@pytest.mark.parametrize("size", ["", "400", "0x5", "-1x5", "9999x9999", "²x²", "4e2x300"])
def test_a_thumbnail_needs_a_size(front: TestClient, upload: bytes, size: str) -> None:
    response = front.post("/thumbnail", params={"size": size}, content=upload)
    assert response.status_code == 400
    assert "size" in check("/thumbnail", response)["detail"]


def test_photos_that_cannot_be_used(front: TestClient, upload: bytes) -> None:
    for path in ("/crops", "/thumbnail?size=9x9"):
        response = front.post(path, content=b"no photo at all")
        assert response.status_code == 422
        assert check(path.partition("?")[0], response)["error"] == "ImageRejected"
    response = front.post("/crops?ratio=1:1&avoid=0,0,512,400", content=upload)
    assert response.status_code == 422
    assert check("/crops", response)["error"] == "NoWindow"


@pytest.mark.parametrize(
    "request_", [{}, {"data": {"ratio": "1:1"}, "files": {"file": b"photo"}}, {"json": ""}]
)
def test_requests_without_a_photo(front: TestClient, request_: dict[str, Any]) -> None:
    response = front.post("/crops", **request_)
    assert response.status_code == 400
    check("/crops", response)


@pytest.mark.parametrize(
    "body",
    [
        b"[]",
        b"{}",
        b"[" * 100_000,
        gazecrop.Saliency(np.ones((101, 100)), (5, 5)).to_json().encode(),
        gazecrop.Saliency(np.ones((4, 4)), (10**30, 5)).to_json().encode(),
    ],
)
def test_what_is_no_stored_saliency(front: TestClient, body: bytes) -> None:
    response = front.post("/crops", content=body, headers=AS_JSON)
    assert response.status_code == 400
    assert "stored saliency" in check("/crops", response)["detail"]


text = st.one_of(
    st.text(max_size=12),
    st.lists(st.floats(width=32), min_size=1, max_size=5).map(lambda n: ",".join(map(str, n))),
)
names = ("ratio", "focus", "keep", "avoid", "zoom", "tolerance", "min_kept", "method", "candidates")


@given(st.dictionaries(st.sampled_from(names), text, max_size=3))
def test_no_parameter_breaks_the_front(
    front: TestClient, saliency: gazecrop.Saliency, query: dict[str, str]
) -> None:
    response = front.post("/crops", params=query, content=saliency.to_json(), headers=AS_JSON)
    assert response.status_code in (200, 400, 422)
    check("/crops", response)


def test_uploads_have_a_largest_size(opened: Opened) -> None:
    front = opened(upload_bytes=1000)
    requests: list[dict[str, Any]] = [
        {"content": bytes(1001)},
        {"content": iter([bytes(300)] * 4)},
        {"files": {"photo": bytes(1000)}},
    ]
    for request in requests:
        response = front.post("/crops", **request)
        assert response.status_code == 413
        assert check("/crops", response)["detail"] == "at most 1,000 bytes are accepted"
    assert front.post("/crops", content=bytes(1000)).status_code == 422


@pytest.mark.parametrize(
    ("limits", "sends", "status"),
    [(Limits(upload_seconds=0.05), False, 408), (Limits(answer_seconds=0.05), True, 504)],
)
def test_slow_uploads_and_answers_end(
    silent_port: int, limits: Limits, sends: bool, status: int
) -> None:
    async def first_of_answer() -> Any:
        app = application(lambda: gazecrop.AsyncClient(f"127.0.0.1:{silent_port}", 20), limits)
        sent: list[Any] = []

        async def receive() -> Any:
            if not sends:
                await asyncio.sleep(60)
            return {"type": "http.request", "body": b"photo", "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        scope = {"type": "http", "method": "POST", "path": "/crops", "query_string": b""}
        async with app.router.lifespan_context(app):
            await app({**scope, "headers": []}, receive, send)
        return sent[0]

    assert asyncio.run(first_of_answer())["status"] == status


def test_requests_beyond_the_places_come_again(opened: Opened, upload: bytes) -> None:
    response = opened(at_once=0).post("/crops", content=upload)
    assert response.status_code == 503
    assert response.headers["retry-after"] == "1"
    check("/crops", response)


def test_no_server(opened: Opened, upload: bytes) -> None:
    front = opened(NOBODY)
    for path, response in (
        ("/crops", front.post("/crops", content=upload)),
        ("/health", front.get("/health")),
    ):
        assert response.status_code == 503, path
        assert response.headers["retry-after"] == "1"
        check(path, response)


def test_health(front: TestClient) -> None:
    response = front.get("/health")
    assert response.status_code == 200
    assert check("/health", response)["server"].startswith("triton")


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [
        ("GET", "/nothing", 404),
        ("GET", "/static/%2e%2e/app.py", 404),
        ("GET", "/crops", 405),
        ("POST", "/health", 405),
    ],
)
def test_what_is_not_there(front: TestClient, method: str, path: str, status: int) -> None:
    response = front.request(method, path)
    assert response.status_code == response.json()["status"] == status
    assert response.headers["content-type"] == "application/problem+json"


def test_the_description_is_valid_and_names_what_there_is(front: TestClient) -> None:
    openapi_spec_validator.validate(OPENAPI)
    assert front.get("/openapi.json").json() == OPENAPI
    for path, methods in OPENAPI["paths"].items():
        ((method, described),) = methods.items()
        assert method.upper() in front.request("PATCH", path).headers["allow"]
        if parameters := described.get("parameters"):
            reason = front.post(f"{path}?x=1", content=b"photo").json()["detail"]
            known = reason.partition("known: ")[2].split(", ")
            assert sorted(known) == sorted(each["name"] for each in parameters)


def test_the_pages_load_nothing_from_elsewhere(front: TestClient) -> None:
    for page in ("/", "/docs"):
        response = front.get(page)
        assert response.headers["content-type"].startswith("text/html")
        assert "default-src 'self'" in response.headers["content-security-policy"]
        for link in re.findall(r'(?:src|href)="(static/[^"]+)"', response.text):
            assert front.get(f"/{link}").status_code == 200, link
    for source in STATIC.glob("*.[hcjs][tsv]*"):
        if source.suffix != ".json":
            hosts = set(re.findall(r"https?://([^/\"'`$]+)", source.read_text("utf-8", "ignore")))
            assert hosts <= {"www.w3.org"}, source
