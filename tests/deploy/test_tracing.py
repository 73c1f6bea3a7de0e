"""The traces that the component `tracing` asks for, from a real server to a collector."""

import http.server
import queue
import threading
from pathlib import Path

import gazecrop
import pytest
import yaml

from tests.conftest import serving

ROOT = Path(__file__).parents[2]
ARGUMENTS = ROOT / "deploy" / "kubernetes" / "components" / "tracing" / "arguments.yaml"
TRACE = "4bf92f3577b34da6a3ce929d0e0e4736"


@pytest.fixture
def collector() -> "Collector":
    return Collector()


class Collector:
    """An OTLP endpoint: what was posted to it, by path."""

    def __init__(self) -> None:
        self.posts: queue.Queue[tuple[str, bytes]] = queue.Queue()
        posts = self.posts

        class Handler(http.server.BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                posts.put((self.path, self.rfile.read(int(self.headers["Content-Length"]))))
                self.send_response(200)
                self.end_headers()

            def log_message(self, *args: object) -> None:
                pass

        self.server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        threading.Thread(target=self.server.serve_forever, daemon=True).start()

    def spans_of(self, trace: str) -> bytes:
        """The first post that tells of a trace; others may tell of other calls."""
        while True:
            path, spans = self.posts.get(timeout=20)
            assert path == "/v1/traces"
            if bytes.fromhex(trace) in spans or trace.encode() in spans:
                return spans


def test_a_request_is_traced_under_its_callers_trace(tmp_path: Path, collector: Collector) -> None:
    asked = [each["value"] for each in yaml.safe_load(ARGUMENTS.read_text("utf-8"))]
    here = f"http://127.0.0.1:{collector.server.server_port}"
    options = tuple(
        option.replace("http://opentelemetry-collector.monitoring:4318", here).replace(
            "rate=1000", "rate=1"
        )
        for option in asked
    )
    photo = (ROOT / "docs" / "photo.jpg").read_bytes()
    caller = {"traceparent": f"00-{TRACE}-00f067aa0ba902b7-01"}
    with (
        serving(tmp_path, options=options) as address,
        gazecrop.Client(f"{address.host}:{address.grpc}", timeout=20, metadata=caller) as client,
    ):
        client.predict(photo)
        spans = collector.spans_of(TRACE)
    collector.server.shutdown()
    for word in (b"gazecrop", b"saliency", b"preprocess", b"student"):
        assert word in spans
