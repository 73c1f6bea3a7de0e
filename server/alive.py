"""Whether a server decodes and predicts with each of its processes: a liveness probe.

    python3 -m server.alive    status 1 if a process is broken, or nobody answers

Triton calls itself live and ready whatever became of its decoders. A server that is only too busy
is alive: ending it would give its work to others that are as busy.
"""

import os
import sys
import urllib.request
from pathlib import Path

import gazecrop

from server import instances

WARM_UP = Path(__file__).parents[1] / "model_repository" / "preprocess" / "warmup" / "photo"
PHOTO = WARM_UP.read_bytes()[4:]  # in that file, its length goes before
TIMEOUT = 15.0  # seconds; what a full queue keeps longer is refused long before


def broken(grpc: str, live_url: str, photos: int) -> str | None:
    """Why the server is not alive; None if it is.

    Args:
        grpc: its address.
        live_url: where Triton says whether it is live.
        photos: to predict; enough that each of its processes gets one.
    """
    with gazecrop.Client(grpc, timeout=TIMEOUT) as client:
        for outcome in client.predict_many([PHOTO] * photos, in_flight=photos):
            if isinstance(outcome, (gazecrop.ServerUnreachable, gazecrop.DeadlineExceeded)):
                return None if _is_live(live_url) else str(outcome)
            if isinstance(outcome, gazecrop.GazecropError):
                return str(outcome)
    return None


def _is_live(url: str) -> bool:
    direct = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    try:
        with direct.open(url, timeout=TIMEOUT) as response:
            return bool(response.status == 200)
    except OSError:
        return False


def main() -> int:
    cores = int(os.environ.get("CORES") or instances.usable_cores())
    http, grpc = (os.environ.get(f"{name}_PORT") for name in ("HTTP", "GRPC"))
    why = broken(
        f"127.0.0.1:{grpc or 8001}",
        f"http://127.0.0.1:{http or 8000}/v2/health/live",
        photos=2 * instances.suited_to(cores).preprocess,
    )
    if why is not None:
        print(f"error: {why}", file=sys.stderr)
    return int(why is not None)


if __name__ == "__main__":
    sys.exit(main())
