"""Requests: what was uploaded, within limits, and what is asked of it."""

import asyncio
import re
from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus
from typing import Any

from starlette.datastructures import FormData, QueryParams, UploadFile
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.types import Message

from gazecrop import CropOptions, InvalidArgument, Saliency, ThumbnailOptions, parse_ratio

MAX_ENTRIES = 64  # ratios, or boxes of a kind: each takes time, and boxes take it squared
MAX_CANDIDATES = 16
MAX_FIELDS = 256
MAX_CELLS = 10_000  # of a stored saliency's grid
MAX_SIDE = 1_000_000  # pixels of its photo
MAX_THUMBNAIL_PIXELS = 3840 * 2160
DEFAULT_RATIOS = ("16:9", "1:1", "4:5")
CROP_OPTIONS = ("focus", "keep", "avoid", "zoom", "tolerance", "min_kept", "method")
THUMBNAIL_OPTIONS = (
    "format",
    "quality",
    "focus_fraction",
    "min_size",
    "pad",
    "colour",
    "keep_copyright",
)


@dataclass(frozen=True)
class Limits:
    """What a request may take.

    Attributes:
        upload_bytes: of its body.
        upload_seconds: until its body has come.
        answer_seconds: until it is answered.
        at_once: requests in work; more are told to come again.
    """

    upload_bytes: int = 20 * 2**20  # the server takes no larger photos
    upload_seconds: float = 30.0
    answer_seconds: float = 60.0
    at_once: int = 64


@dataclass(frozen=True)
class Upload:
    """A request's body, and its parameters from the query and the form."""

    body: bytes
    is_json: bool
    parameters: dict[str, list[str]]


async def upload(request: Request, limits: Limits, known: Sequence[str]) -> Upload:
    """Read a request whose body is a photo, a form with one, or JSON.

    Raises:
        HTTPException: the body is too large, or comes too slowly.
        gazecrop.InvalidArgument: a parameter is none of the known ones, or there is no photo.
    """
    declared = request.headers.get("content-length", "0")
    if declared.isdecimal() and int(declared) > limits.upload_bytes:
        raise _too_large(limits)
    try:
        found = await asyncio.wait_for(_read(request, limits), limits.upload_seconds)
    except asyncio.TimeoutError:
        raise HTTPException(
            HTTPStatus.REQUEST_TIMEOUT, f"the upload took more than {limits.upload_seconds:g} s"
        ) from None
    if unknown := set(found.parameters) - set(known):
        raise InvalidArgument(
            f"unknown parameters: {', '.join(sorted(unknown))}; known: {', '.join(known)}"
        )
    if not found.body:
        raise InvalidArgument("the request has no photo: send its file as the body, or in a form")
    return found


async def _read(request: Request, limits: Limits) -> Upload:
    seen = 0

    async def receive() -> Message:
        nonlocal seen
        message = await request.receive()
        seen += len(message.get("body", b""))
        if seen > limits.upload_bytes:
            raise _too_large(limits)
        return message

    bounded = Request(request.scope, receive)
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "multipart/form-data":
        body = await bounded.body()
        return Upload(body, kind == "application/json", _lists(request.query_params))
    async with bounded.form(max_files=1, max_fields=MAX_FIELDS) as form:
        photo = form.get("photo")
        if not isinstance(photo, UploadFile):
            raise InvalidArgument("the form has no file 'photo'")
        return Upload(await photo.read(), False, _lists(request.query_params, form))


def _too_large(limits: Limits) -> HTTPException:
    return HTTPException(
        HTTPStatus.REQUEST_ENTITY_TOO_LARGE, f"at most {limits.upload_bytes:,} bytes are accepted"
    )


def _lists(*sources: QueryParams | FormData) -> dict[str, list[str]]:
    lists: dict[str, list[str]] = {}
    for source in sources:
        for name, value in source.multi_items():
            if isinstance(value, str):
                lists.setdefault(name, []).append(value)
    return lists


def ratios(parameters: dict[str, list[str]]) -> list[str]:
    """The aspect ratios asked for, or the usual ones.

    Raises:
        gazecrop.InvalidArgument: one of them is none, or there are too many.
    """
    asked = _few("ratio", parameters) or list(DEFAULT_RATIOS)
    for ratio in asked:
        parse_ratio(ratio)
    return asked


def stored(body: bytes) -> Saliency:
    """A stored saliency, of no more work than a photo's.

    Raises:
        gazecrop.InvalidArgument: it is none.
    """
    try:
        saliency = Saliency.from_json(body)
    except RecursionError as error:
        raise InvalidArgument("this is no stored saliency: it is nested too deep") from error
    if saliency.density.size > MAX_CELLS or max(saliency.size) > MAX_SIDE:
        raise InvalidArgument(
            f"a stored saliency has at most {MAX_CELLS:,} cells and {MAX_SIDE:,} pixels a side"
        )
    return saliency


def crop_options(parameters: dict[str, list[str]]) -> CropOptions:
    """What is asked of windows, for the client to check.

    Raises:
        gazecrop.InvalidArgument: a number is none, or there are too many boxes.
    """
    asked: CropOptions = _crop_options(parameters)
    return asked


def thumbnail_options(parameters: dict[str, list[str]]) -> ThumbnailOptions:
    """What is asked of a thumbnail, for the client to check.

    Raises:
        gazecrop.InvalidArgument: as `crop_options`; or the least size is none.
    """
    found = _crop_options(parameters)
    if fraction := one("focus_fraction", parameters):
        found["focus_fraction"] = _numbers("focus_fraction", fraction)
    if one("min_size", parameters):
        found["min_size"] = size("min_size", parameters)
    if one("quality", parameters):
        found["quality"] = count("quality", parameters, 100)
    for name in ("format", "colour"):
        if value := one(name, parameters):
            found[name] = value
    for name in ("pad", "keep_copyright"):
        found[name] = bool(count(name, parameters, 1))
    asked: ThumbnailOptions = found
    return asked


def size(name: str, parameters: dict[str, list[str]]) -> tuple[int, int]:
    """A size like 400x300, (width, height) in pixels.

    Raises:
        gazecrop.InvalidArgument: there is none, or one too large.
    """
    text = one(name, parameters) or ""
    match = re.fullmatch(r"([1-9][0-9]{0,5})[x×]([1-9][0-9]{0,5})", text)
    if not match:
        raise InvalidArgument(f"{name} is like 400x300 in pixels, not {text[:40]!r}")
    width, height = int(match[1]), int(match[2])
    if width * height > MAX_THUMBNAIL_PIXELS:
        raise InvalidArgument(f"{name} has at most {MAX_THUMBNAIL_PIXELS:,} pixels")
    return width, height


def _crop_options(parameters: dict[str, list[str]]) -> Any:
    found: dict[str, Any] = {}
    if focus := one("focus", parameters):
        found["focus"] = _numbers("focus", focus)
    for name in ("keep", "avoid"):
        if boxes := _few(name, parameters):
            found[name] = [_numbers(name, box) for box in boxes]
    for name in ("zoom", "tolerance", "min_kept"):
        if number := one(name, parameters):
            (found[name],) = _numbers(name, number, 1)
    if method := one("method", parameters):
        found["method"] = method
    return found


def count(name: str, parameters: dict[str, list[str]], most: int) -> int:
    """A whole number from 0 to `most`; 0 where it is not asked for.

    Raises:
        gazecrop.InvalidArgument: it is something else.
    """
    text = one(name, parameters) or "0"
    if not text.isdecimal() or len(text) > 9 or int(text) > most:
        raise InvalidArgument(f"{name} is a whole number from 0 to {most}, not {text[:40]!r}")
    return int(text)


def one(name: str, parameters: dict[str, list[str]]) -> str | None:
    """A parameter that is given once at most.

    Raises:
        gazecrop.InvalidArgument: it is given several times.
    """
    values = parameters.get(name, [])
    if len(values) > 1:
        raise InvalidArgument(f"{name} is given {len(values)} times")
    return values[0] if values else None


def _few(name: str, parameters: dict[str, list[str]]) -> list[str]:
    values = parameters.get(name, [])
    if len(values) > MAX_ENTRIES:
        raise InvalidArgument(f"{name} is given {len(values)} times; at most {MAX_ENTRIES} are")
    return values


def _numbers(name: str, text: str, most: int = 4) -> tuple[Any, ...]:
    try:
        numbers = tuple(map(float, text.split(",")))
    except ValueError:
        numbers = ()
    if not 0 < len(numbers) <= most:
        what = "a number" if most == 1 else "numbers with commas between"
        raise InvalidArgument(f"{name} is {what}, not {text[:40]!r}")
    return numbers
