"""Where another program runs the server: the client's tests on other Pythons have none."""

import os

import pytest

from server import embedded


@pytest.fixture(scope="session")
def address(request: pytest.FixtureRequest) -> embedded.Address:
    if ports := os.environ.get("GAZECROP_SERVER_PORTS"):
        http, grpc, metrics = map(int, ports.split(","))
        return embedded.Address(http=http, grpc=grpc, metrics=metrics)
    started: embedded.Address = request.getfixturevalue("address")
    return started
