"""What a web service around the client meets: deadlines, load, event loops, forks, pickles."""

import asyncio
import copy
import io
import logging
import os
import pickle
import threading
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent import futures
from pathlib import Path
from typing import Any

import gazecrop
import numpy as np
import pytest
from PIL import Image

from tests.conftest import encode, free_address

DATA = encode(Image.linear_gradient("L"))


class Slow(io.BytesIO):
    """A body that comes from a slow network."""

    def read(self, size: int | None = -1) -> bytes:
        time.sleep(3)
        return super().read(size)


def in_time(call: Callable[[], Any]) -> None:
    started = time.monotonic()
    with pytest.raises(gazecrop.DeadlineExceeded, match=r"within 0\.5 s"):
        call()
    assert 0.4 < time.monotonic() - started < 2


def test_slow_reads_count(grpc: str, tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    photos: list[Any] = [Slow(DATA), tmp_path / "pipe"]
    with gazecrop.Client(grpc, timeout=0.5) as client:
        for photo in photos:
            in_time(lambda photo=photo: client.predict(photo))
            in_time(lambda photo=photo: client.thumbnail(photo, "9x9"))
        late, good = client.predict_many([Slow(DATA), DATA], timeout=20), None
        assert [type(result) for result in late] == [gazecrop.Saliency] * 2
        assert good is None

    async def predict(photo: Any) -> None:
        async with gazecrop.AsyncClient(grpc, timeout=0.5) as client:
            await client.predict(photo)

    for photo in photos:
        in_time(lambda photo=photo: asyncio.run(predict(photo)))
    os.close(os.open(tmp_path / "pipe", os.O_RDWR | os.O_NONBLOCK))


def test_a_busy_executor_does_not_count(grpc: str) -> None:
    async def predict() -> float:
        loop = asyncio.get_running_loop()
        loop.set_default_executor(futures.ThreadPoolExecutor(1))
        busy = loop.run_in_executor(None, time.sleep, 4)
        started = time.monotonic()
        async with gazecrop.AsyncClient(grpc, timeout=20) as client:
            await client.predict(io.BytesIO(DATA))
            await client.thumbnail(DATA, "20x20")
        took = time.monotonic() - started
        await busy
        return took

    assert asyncio.run(predict()) < 3


@pytest.mark.parametrize("timeout", [None, float("inf"), 1e12])
def test_no_limit(grpc: str, timeout: float | None) -> None:
    with gazecrop.Client(grpc, timeout=timeout) as client:
        assert client.predict(DATA).size == (256, 256)
    with gazecrop.Client(grpc, timeout=20) as client:
        assert client.predict(DATA, timeout=timeout).size == (256, 256)


@pytest.mark.parametrize("timeout", ["5", 0, -1, float("nan"), "inf", [1]])
def test_what_is_no_timeout_is_refused(timeout: Any) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="a timeout is"):
        gazecrop.Client(timeout=timeout)
    with gazecrop.Client("127.0.0.1:1") as client:
        for call in (client.predict, lambda _, timeout: client.predict_many([], timeout=timeout)):
            with pytest.raises(gazecrop.InvalidArgument, match="a timeout is"):
                call(DATA, timeout=timeout)


def test_more_calls_than_the_server_lets_wait(grpc: str) -> None:
    """Of 400 at once, none is turned away; and none waits for its turn beyond its deadline."""

    async def predict() -> list[Any]:
        async with gazecrop.AsyncClient(grpc, timeout=120) as client:
            return await asyncio.gather(*(client.predict(DATA) for _ in range(400)))

    assert len(asyncio.run(predict())) == 400


def test_a_turn_is_waited_for_within_the_deadline(silent_port: int) -> None:
    async def predict() -> list[Any]:
        async with gazecrop.AsyncClient(f"127.0.0.1:{silent_port}", in_flight=1) as client:
            calls = [client.predict(DATA, timeout=0.5) for _ in range(3)]
            return await asyncio.gather(*calls, return_exceptions=True)

    started = time.monotonic()
    results = asyncio.run(predict())
    assert time.monotonic() - started < 3
    assert all(isinstance(result, gazecrop.DeadlineExceeded) for result in results)
    assert any("no turn" in str(result) for result in results)


def test_retries_are_logged(caplog: pytest.LogCaptureFixture) -> None:
    address = f"127.0.0.1:{free_address().grpc}"
    with (
        caplog.at_level(logging.WARNING, "gazecrop"),
        gazecrop.Client(address, timeout=20) as client,
        pytest.raises(gazecrop.ServerUnreachable),
    ):
        client.predict(DATA)
    assert [record.name for record in caplog.records] == ["gazecrop"] * 4
    assert address in caplog.text


def failing(good: int) -> Iterator[bytes]:
    yield from [DATA] * good
    raise ConnectionError("the bucket is gone")


async def failing_later(good: int) -> AsyncIterator[bytes]:
    for photo in [DATA] * good:
        await asyncio.sleep(0)
        yield photo
    raise ConnectionError("the bucket is gone")


def collect(results: Iterator[Any], found: list[Any]) -> None:
    for result in results:
        found.append(result)


@pytest.mark.parametrize("good", [0, 3, 12])
def test_results_of_a_source_that_fails_are_not_lost(
    client: gazecrop.Client, grpc: str, good: int
) -> None:
    results: list[Any] = []
    with pytest.raises(ConnectionError):
        collect(client.crop_many(failing(good), "1:1"), results)
    assert len(results) == good

    async def crop(photos: Any, found: list[Any]) -> None:
        async with gazecrop.AsyncClient(grpc, timeout=20) as client:
            async for result in client.crop_many(photos, "1:1"):
                found.append(result)

    for photos in (failing(good), failing_later(good)):
        found: list[Any] = []
        with pytest.raises(ConnectionError):
            asyncio.run(crop(photos, found))
        assert [type(result) for result in found] == [gazecrop.Crop] * good


def test_results_come_while_an_asynchronous_source_waits(grpc: str) -> None:
    async def predict() -> None:
        more = asyncio.Event()

        async def photos() -> AsyncIterator[bytes]:
            yield DATA
            await more.wait()

        async with gazecrop.AsyncClient(grpc, timeout=20) as client:
            results = client.predict_many(photos())
            assert isinstance(await anext(results), gazecrop.Saliency)
            more.set()
            assert [result async for result in results] == []

    asyncio.run(asyncio.wait_for(predict(), 30))


def test_files_that_their_source_closes(client: gazecrop.Client, photo: Path) -> None:
    def opened() -> Iterator[Any]:
        for _ in range(5):
            with photo.open("rb") as file:
                yield file

    results = list(client.predict_many(opened()))
    assert all(isinstance(result, gazecrop.Saliency) for result in results), results


@pytest.mark.parametrize(
    "photos",
    ["photo.jpg", b"data", Path("photo.jpg"), io.BytesIO(DATA), np.zeros((9, 16, 3), np.uint8),
     None, 5],
)  # fmt: skip
def test_one_photo_in_the_place_of_many_is_refused(photos: Any) -> None:
    for client in (gazecrop.Client("a:1"), gazecrop.AsyncClient("a:1")):
        with pytest.raises(gazecrop.InvalidArgument, match="photos are"):
            client.predict_many(photos)


def test_a_client_without_a_loop_takes_no_asynchronous_source() -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="AsyncClient"):
        gazecrop.Client("a:1").predict_many(failing_later(1))  # type: ignore[arg-type]


def test_an_async_client_works_in_every_loop(grpc: str) -> None:
    client = gazecrop.AsyncClient(grpc, timeout=20)

    async def predict() -> gazecrop.Saliency:
        return await client.predict(DATA)

    assert [asyncio.run(predict()).size for _ in range(2)] == [(256, 256)] * 2
    with futures.ThreadPoolExecutor(3) as threads:
        calls = [threads.submit(asyncio.run, predict()) for _ in range(6)]
        assert all(call.result().size == (256, 256) for call in calls)


def test_closing_ends_no_call(grpc: str) -> None:
    async def predict() -> list[Any]:
        client = gazecrop.AsyncClient(grpc, timeout=20)
        tasks = [asyncio.create_task(client.predict(DATA)) for _ in range(10)]
        await asyncio.sleep(0.01)
        await client.close()
        with pytest.raises(gazecrop.InvalidArgument, match="closed"):
            await client.predict(DATA)
        return await asyncio.gather(*tasks)

    assert len(asyncio.run(predict())) == 10
    client, started = gazecrop.Client(grpc, timeout=20), threading.Event()

    def photos() -> Iterator[bytes]:
        yield DATA
        started.set()
        yield DATA

    with futures.ThreadPoolExecutor(1) as thread:
        call = thread.submit(client.predict, Slow(DATA))
        time.sleep(0.5)
        client.close()
        assert call.result().size == (256, 256)


@pytest.mark.parametrize("kind", [gazecrop.Client, gazecrop.AsyncClient])
def test_clients_are_pickled_as_their_settings(kind: Any, grpc: str) -> None:
    client = kind(grpc, 7, metadata={"a": "b"}, shrink_above=None, in_flight=3, model="x")
    for twin in (pickle.loads(pickle.dumps(client)), copy.deepcopy(client)):
        assert twin.__getstate__() == client.__getstate__()
        assert (twin.address, twin.timeout, twin.in_flight) == (grpc, 7, 3)


def test_a_client_works_in_a_fork(grpc: str) -> None:
    client = gazecrop.Client(grpc, timeout=20)
    client.predict(DATA)
    process = os.fork()
    if process == 0:
        try:
            client.predict(DATA)
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(process, 0)[1] == 0
    assert client.predict(DATA).size == (256, 256)
