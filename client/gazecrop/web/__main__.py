"""Serve the web front: `python -m gazecrop.web`."""

import argparse

import uvicorn

from gazecrop import AsyncClient
from gazecrop.web import Limits, application


def main() -> None:
    parser = argparse.ArgumentParser(
        prog="python -m gazecrop.web", description="windows over HTTP, and a page to look at them"
    )
    parser.add_argument(
        "--server",
        action="append",
        metavar="HOST:PORT",
        help="Triton's gRPC address (localhost:8001); repeat to spread the calls",
    )
    parser.add_argument("--host", default="127.0.0.1", help="where to listen (127.0.0.1)")
    parser.add_argument("--port", type=int, default=8080, help="(8080)")
    parser.add_argument("--timeout", type=float, default=5.0, help="seconds for a prediction (5)")
    parser.add_argument(
        "--max-bytes", type=int, default=Limits.upload_bytes, help="of an upload (20 MiB)"
    )
    args = parser.parse_args()
    servers = args.server or ["localhost:8001"]
    app = application(
        lambda: AsyncClient(servers if len(servers) > 1 else servers[0], args.timeout),
        Limits(upload_bytes=args.max_bytes),
    )
    uvicorn.run(app, host=args.host, port=args.port, access_log=False, server_header=False)


if __name__ == "__main__":
    main()
