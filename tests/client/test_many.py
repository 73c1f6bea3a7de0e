"""Many photos through one client, waited for by threads or by an event loop."""

import asyncio
import time
from collections.abc import Iterator
from pathlib import Path

import gazecrop
import numpy as np
import pytest
from numpy.typing import NDArray

from tests.conftest import encode


@pytest.fixture(scope="module")
def uploads(coffee: NDArray[np.uint8]) -> list[bytes]:
    return [encode(np.roll(coffee, 60 * step, axis=1)) for step in range(10)]


@pytest.fixture(scope="module")
def expected(client: gazecrop.Client, uploads: list[bytes]) -> list[list[gazecrop.Crop]]:
    return [client.crop(upload, ["1:1", "2:1"]) for upload in uploads]


def test_results_come_in_order_with_errors_in_their_places(
    client: gazecrop.Client, uploads: list[bytes], expected: list[list[gazecrop.Crop]]
) -> None:
    photos = [*uploads[:5], b"no photo", "no/such/file.jpg", *uploads[5:]]
    results = list(client.crop_many(photos, ["1:1", "2:1"]))
    rejected, missing = results.pop(5), results.pop(5)
    assert isinstance(rejected, gazecrop.ImageRejected)
    assert isinstance(missing, gazecrop.InvalidArgument)
    assert results == expected


def test_photos_are_taken_no_further_ahead_than_asked(
    client: gazecrop.Client, uploads: list[bytes]
) -> None:
    taken = 0

    def photos() -> Iterator[bytes]:
        nonlocal taken
        for upload in uploads:
            taken += 1
            yield upload

    results = client.predict_many(photos(), in_flight=3)
    assert taken == 0
    next(results)
    assert taken == 4
    results.close()  # type: ignore[attr-defined]
    assert taken == 4


def test_mistakes_are_told_before_anything_is_sent(client: gazecrop.Client) -> None:
    with pytest.raises(gazecrop.InvalidArgument, match="aspect ratio"):
        client.crop_many([b""], ["wide"])
    with pytest.raises(gazecrop.InvalidArgument, match="in_flight"):
        client.predict_many([b""], in_flight=0)


def test_options_hold_for_all(client: gazecrop.Client, uploads: list[bytes]) -> None:
    (crops,) = client.crop_many(uploads[:1], ["1:1"], zoom=2, method="centre")
    assert isinstance(crops, list)
    assert crops[0].rect == (200, 100, 200, 200)


def test_the_async_client_has_the_same_methods() -> None:
    def methods(kind: type) -> set[str]:
        return {name for name in dir(kind) if not name.startswith("_")}

    assert methods(gazecrop.Client) == methods(gazecrop.AsyncClient)


def test_200_calls_at_once(
    grpc: str, uploads: list[bytes], expected: list[list[gazecrop.Crop]]
) -> None:
    async def crop_all() -> list[list[gazecrop.Crop]]:
        async with gazecrop.AsyncClient(grpc, timeout=30) as client:
            assert await client.is_ready()
            assert (await client.ping()).server == "triton"
            calls = (client.crop(uploads[i % 10], ["1:1", "2:1"]) for i in range(200))
            return await asyncio.gather(*calls)

    results = asyncio.run(crop_all())
    assert results == [expected[i % 10] for i in range(200)]


def test_async_results_come_in_order_with_errors_in_their_places(
    grpc: str, uploads: list[bytes], expected: list[list[gazecrop.Crop]], photo: Path
) -> None:
    async def crop_all() -> list[list[gazecrop.Crop] | gazecrop.GazecropError]:
        async with gazecrop.AsyncClient(grpc, timeout=30) as client:
            photos = [*uploads, b"no photo", photo]
            return [crops async for crops in client.crop_many(photos, ["1:1", "2:1"])]

    *results, rejected, from_file = asyncio.run(crop_all())
    assert results == expected
    assert isinstance(rejected, gazecrop.ImageRejected)
    assert isinstance(from_file, list)


def test_cancelling_a_task_ends_its_call(silent_port: int) -> None:
    async def cancel() -> float:
        async with gazecrop.AsyncClient(f"127.0.0.1:{silent_port}", timeout=30) as client:
            task = asyncio.create_task(client.predict(b"photo"))
            await asyncio.sleep(0.2)
            started = time.monotonic()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            return time.monotonic() - started

    assert asyncio.run(cancel()) < 1


def test_an_async_deadline(silent_port: int) -> None:
    async def predict() -> None:
        async with gazecrop.AsyncClient(f"127.0.0.1:{silent_port}") as client:
            await client.predict(b"photo", timeout=0.3)

    with pytest.raises(gazecrop.DeadlineExceeded, match=r"within 0\.3 s"):
        asyncio.run(predict())
