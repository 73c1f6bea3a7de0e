"""The application: its routes, on top of `gazecrop.AsyncClient`."""

import asyncio
import hashlib
import io
import json
import re
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from http import HTTPStatus
from pathlib import Path
from typing import Any

from PIL import Image
from starlette.applications import Starlette
from starlette.datastructures import MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware import Middleware
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, Response
from starlette.routing import Mount, Route
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from gazecrop import AsyncClient, Saliency
from gazecrop.web import reading
from gazecrop.web.problems import HANDLERS, problem
from gazecrop.web.reading import CROP_OPTIONS, THUMBNAIL_OPTIONS, Limits

STATIC = Path(__file__).parent / "static"
PAGES = {"/": "index.html", "/docs": "docs.html", "/openapi.json": "openapi.json"}
HEADERS = {
    "Content-Security-Policy": "default-src 'self'; img-src 'self' blob:; "
    "frame-ancestors 'none'; base-uri 'none'; form-action 'self'",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
}
CACHE_SECONDS = 86_400
Endpoint = Callable[[Request], Awaitable[Response]]


def application(
    connect: Callable[[], AsyncClient] = AsyncClient, limits: Limits | None = None
) -> Starlette:
    """The web front as an ASGI application.

    Args:
        connect: makes the client, in the event loop that serves: `gazecrop.AsyncClient`, or
            `lambda: gazecrop.AsyncClient(address, …)`.
        limits: of requests.
    """
    front = _Front(connect, limits or Limits())
    return Starlette(
        routes=[
            Route("/crops", front.admit(front.crops), methods=["POST"]),
            Route("/thumbnail", front.admit(front.thumbnail), methods=["POST"]),
            Route("/health", front.health),
            *(Route(path, _file(name)) for path, name in PAGES.items()),
            Mount("/static", StaticFiles(directory=STATIC)),
        ],
        lifespan=front.connected,
        exception_handlers=HANDLERS,
        middleware=[Middleware(_WithHeaders)],
    )


class _Front:
    def __init__(self, connect: Callable[[], AsyncClient], limits: Limits) -> None:
        self.connect = connect
        self.limits = limits
        self.places = asyncio.Semaphore(limits.at_once)

    @asynccontextmanager
    async def connected(self, app: Starlette) -> AsyncIterator[None]:
        async with self.connect() as self.client:
            yield

    def admit(self, endpoint: Endpoint) -> Endpoint:
        """Refuse at once what would have to wait for a place."""

        async def admitted(request: Request) -> Response:
            if self.places.locked():
                raise HTTPException(HTTPStatus.SERVICE_UNAVAILABLE, "too many requests at once")
            async with self.places:
                try:
                    return await asyncio.wait_for(endpoint(request), self.limits.answer_seconds)
                except asyncio.TimeoutError:
                    raise HTTPException(HTTPStatus.GATEWAY_TIMEOUT, "it took too long") from None

        return admitted

    async def crops(self, request: Request) -> Response:
        """A photo or a stored saliency in, windows out."""
        known = ("ratio", *CROP_OPTIONS, "candidates", "saliency")
        upload = await reading.upload(request, self.limits, known)
        ratios = reading.ratios(upload.parameters)
        options = reading.crop_options(upload.parameters)
        candidates = reading.count("candidates", upload.parameters, reading.MAX_CANDIDATES)
        is_told = reading.count("saliency", upload.parameters, 1)

        def described(saliency: Saliency) -> dict[str, Any]:
            answer: dict[str, Any] = {
                "size": saliency.size,
                "salient_point": saliency.salient_point,
                "crops": {ratio: saliency.crop(ratio, **options).to_dict() for ratio in ratios},
            }
            if candidates:
                answer["candidates"] = {
                    ratio: [crop.to_dict() for crop in saliency.crops(ratio, candidates, **options)]
                    for ratio in ratios
                }
            if is_told:
                answer["saliency"] = json.loads(saliency.to_json())
            return answer

        saliency = (
            reading.stored(upload.body)
            if upload.is_json
            else await self.client.predict(upload.body)
        )
        answer = await asyncio.to_thread(described, saliency)
        return JSONResponse(answer, headers={"Cache-Control": "no-store"})

    async def thumbnail(self, request: Request) -> Response:
        """A photo in, a small picture out."""
        known = ("size", *CROP_OPTIONS, *THUMBNAIL_OPTIONS)
        upload = await reading.upload(request, self.limits, known)
        size = reading.size("size", upload.parameters)
        options = reading.thumbnail_options(upload.parameters)
        picture = await self.client.thumbnail(upload.body, size, **options)
        headers = {
            "Cache-Control": f"max-age={CACHE_SECONDS}",
            "ETag": f'"{hashlib.sha256(picture).hexdigest()[:32]}"',
        }
        if headers["ETag"] in re.findall(r'"[^"]*"', request.headers.get("if-none-match", "")):
            return Response(None, HTTPStatus.NOT_MODIFIED, headers)
        kind = Image.open(io.BytesIO(picture)).get_format_mimetype()
        return Response(picture, headers=headers, media_type=kind)

    async def health(self, request: Request) -> Response:
        """Whether photos can be predicted now."""
        status = await self.client.ping()
        if not status.ready:
            return problem(HTTPStatus.SERVICE_UNAVAILABLE, status.problem or "not ready")
        return JSONResponse(
            {"status": "ready", "server": f"{status.server} {status.version}"},
            headers={"Cache-Control": "no-store"},
        )


def _file(name: str) -> Endpoint:
    async def answered(request: Request) -> Response:
        return FileResponse(STATIC / name)

    return answered


class _WithHeaders:
    """Tell browsers to trust nothing but this origin."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        async def sent(message: Message) -> None:
            if message["type"] == "http.response.start":
                headers = MutableHeaders(scope=message)
                for name, value in HEADERS.items():
                    headers.setdefault(name, value)
            await send(message)

        await self.app(scope, receive, sent)
