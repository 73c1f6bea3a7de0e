"""Errors as documents of RFC 9457 (application/problem+json)."""

from http import HTTPStatus

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.types import ExceptionHandler

from gazecrop import (
    DeadlineExceeded,
    GazecropError,
    ImageRejected,
    InvalidArgument,
    NoWindow,
    ServerFailed,
    ServerUnreachable,
)

STATUSES: dict[type[GazecropError], HTTPStatus] = {
    InvalidArgument: HTTPStatus.BAD_REQUEST,
    NoWindow: HTTPStatus.UNPROCESSABLE_ENTITY,
    ImageRejected: HTTPStatus.UNPROCESSABLE_ENTITY,
    ServerUnreachable: HTTPStatus.SERVICE_UNAVAILABLE,
    DeadlineExceeded: HTTPStatus.GATEWAY_TIMEOUT,
    ServerFailed: HTTPStatus.BAD_GATEWAY,
    GazecropError: HTTPStatus.INTERNAL_SERVER_ERROR,
}
RETRY_SECONDS = "1"


def problem(status: int, detail: str, error: str | None = None) -> JSONResponse:
    """The document; `error` is the name of the client's exception."""
    described = {"title": HTTPStatus(status).phrase, "status": status, "detail": detail}
    if error is not None:
        described["error"] = error
    headers = {"Cache-Control": "no-store"}
    if status == HTTPStatus.SERVICE_UNAVAILABLE:
        headers["Retry-After"] = RETRY_SECONDS
    return JSONResponse(described, status, headers, media_type="application/problem+json")


async def _of_gazecrop(request: Request, error: Exception) -> Response:
    kind = next(kind for kind in type(error).__mro__ if kind in STATUSES)
    return problem(STATUSES[kind], str(error), type(error).__name__)


async def _of_http(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    response = problem(error.status_code, error.detail)
    response.headers.update(error.headers or {})
    return response


async def _unforeseen(request: Request, error: Exception) -> Response:
    return problem(HTTPStatus.INTERNAL_SERVER_ERROR, "an unforeseen error; the log says which")


HANDLERS: dict[type[Exception], ExceptionHandler] = {
    GazecropError: _of_gazecrop,
    HTTPException: _of_http,
    Exception: _unforeseen,
}
