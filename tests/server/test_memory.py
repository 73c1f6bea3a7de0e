"""What a flooded server takes is within the rule by which pods get their memory."""

import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

import gazecrop
import numpy as np

from perf.instruments.serving import Server, serve
from server.instances import UPLOAD, suited_to, usable_cores
from tests.conftest import encode

FLOOD = 24  # uploads at once
LOOK_SECONDS = 0.05


@contextmanager
def peaks(server: Server) -> Iterator[list[int]]:
    """The private bytes of all its processes while the block runs, one look after another."""
    seen, over = [server.private_bytes()], threading.Event()

    def look() -> None:
        while not over.wait(LOOK_SECONDS):
            seen.append(server.private_bytes())

    watcher = threading.Thread(target=look)
    watcher.start()
    try:
        yield seen
    finally:
        over.set()
        watcher.join()


def test_a_flood_of_the_largest_uploads_stays_within_the_rule() -> None:
    noise = np.random.default_rng(0).integers(0, 256, (2500, 2620, 3), np.uint8)
    upload = encode(noise, "PNG", compress_level=0)
    assert 0.9 * UPLOAD < len(upload) <= UPLOAD
    with (
        serve() as server,
        gazecrop.Client(server.grpc, timeout=60) as client,
        peaks(server) as seen,
    ):
        answers = list(client.predict_many([upload] * FLOOD, in_flight=FLOOD))
    assert Counter(type(answer) for answer in answers) == {gazecrop.Saliency: FLOOD}
    rule = suited_to(usable_cores()).memory()
    assert seen[0] < max(seen) < rule
