"""The HTTP application: POST /restore, GET /weights, /health and /metrics."""

from __future__ import annotations

import asyncio
import logging
import mimetypes
import time
from collections.abc import AsyncIterator, Callable, Mapping
from concurrent.futures import Future
from contextlib import asynccontextmanager
from dataclasses import asdict, replace
from typing import Any

from starlette.applications import Starlette
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.responses import JSONResponse, PlainTextResponse, Response
from starlette.routing import Route

from lowvision.commands.restore_request import RestoreOptions
from lowvision.commands.service.limits import Limits, Refused, Stopped
from lowvision.commands.service.metrics import Metrics
from lowvision.commands.service.work import Deadline, Result, Workers
from lowvision.errors import LowvisionError, UsageError
from lowvision.imaging.target_size import TargetSize
from lowvision.inference.restorer import Restorer
from lowvision.models.calibration import SPEEDS

logger = logging.getLogger("lowvision")

FORMATS = ("png", "jpg", "webp", "tif", "bmp")
"""Values of the parameter `format`."""
POLL_SECONDS = 0.25
"""Time between two checks that the client is still there."""
NUMBERS = {
    "budget": float,
    "max_loss": float,
    "worst": float,
    "quality": int,
    "scale": float,
    "width": int,
    "height": int,
}
OTHERS = ("speed", "format", "strip_metadata")


def application(
    network: Restorer, name: str, limits: Limits, pages: Callable[[Service], list[Route]] | None = None
) -> Starlette:
    """Return the application for a network. name: name of the weights, for clients. pages: adds routes."""
    service = Service(network, name, limits)

    @asynccontextmanager
    async def lifespan(app: Starlette) -> AsyncIterator[None]:
        yield
        service.close()

    return Starlette(
        routes=[
            Route("/restore", service.restore, methods=["POST"]),
            Route("/weights", service.weights),
            Route("/health", service.health),
            Route("/metrics", service.show_metrics),
            *(pages(service) if pages else ()),
        ],
        exception_handlers={HTTPException: _http_error, Exception: _unexpected},
        lifespan=lifespan,
    )


class Service:
    """The handlers of requests."""

    def __init__(self, network: Restorer, name: str, limits: Limits):
        self.workers, self.metrics = Workers(network, limits), Metrics()
        self.name, self._limits = name, limits
        self.others: list[Service] = []
        """Services of other weights, which end with this one."""

    def close(self) -> None:
        """Wait for running restores."""
        for service in (self, *self.others):
            service.workers.close()

    async def restore(self, request: Request) -> Response:
        """Restore the image in the body."""
        return await self.answer(request, _file)

    async def answer(
        self, request: Request, respond: Callable[[Result], Response], draws_map: bool = False, compares: bool = False
    ) -> Response:
        """Restore the image in the body and respond, with an error if it is refused.

        compares: also measure the seconds of the base on the whole image.
        """
        began = time.perf_counter()
        response = await self._response(request, respond, draws_map, compares)
        self.metrics.count_response(response.status_code, time.perf_counter() - began)
        return response

    async def weights(self, request: Request) -> Response:
        """Describe the weights."""
        network, curve = self.workers.network, self.workers.network.curve
        return JSONResponse(
            {
                "name": self.name,
                "scale": network.scale,
                "branches": len(network.architecture.branches),
                "speeds": list(SPEEDS) if network.curve else [],
                "curve": curve
                and [{"share": s, "loss": loss} for s, loss in zip(curve.shares, curve.losses, strict=True)],
                "runtime": network.runtime,
                "device": str(network.device),
                "limits": asdict(self._limits),
            }
        )

    async def health(self, request: Request) -> Response:
        """Answer that the service runs."""
        return JSONResponse({"status": "ok"})

    async def show_metrics(self, request: Request) -> Response:
        """Return the counters."""
        return PlainTextResponse(self.metrics.text(self.workers.running), media_type="text/plain; version=0.0.4")

    async def _response(
        self, request: Request, respond: Callable[[Result], Response], draws_map: bool, compares: bool
    ) -> Response:
        deadline = Deadline(self._limits.seconds)
        try:
            with self.workers.admitted():
                options, suffix = options_of(request.query_params)
                options = replace(options, draws_maps=draws_map)
                self.workers.network.check_budget(options.budget, options.max_loss, options.speed, options.worst)
                content = await asyncio.wait_for(_body(request, self._limits.upload_bytes), self._limits.seconds)
                future = self.workers.submit(content, options, suffix, deadline, compares)
                result = await self._result(request, future, deadline)
        except Refused as error:
            return _error(error.status, str(error))
        except (Stopped, TimeoutError):
            return _error(503, f"the image needs more than {self._limits.seconds:g} seconds; send a smaller one")
        except ClientDisconnect:
            return _error(499, "the client has gone")
        except LowvisionError as error:
            return _error(400, str(error))
        done = result.done
        self.metrics.count_image(done.height * done.width, done.tiles, done.cost, done.base_cost)
        return respond(result)

    async def _result(self, request: Request, submitted: Future[Result], deadline: Deadline) -> Result:
        """Wait for the result; stop the work if the client goes away."""
        future = asyncio.wrap_future(submitted)
        try:
            while not (await asyncio.wait([future], timeout=POLL_SECONDS))[0]:
                if await request.is_disconnected():
                    raise ClientDisconnect
            return await future
        finally:
            deadline.stop()
            future.cancel()


def options_of(parameters: Mapping[str, str]) -> tuple[RestoreOptions, str | None]:
    """Return the options of a request and the ending of its result. Raises UsageError."""
    unknown = [name for name in parameters if name not in NUMBERS and name not in OTHERS]
    if unknown:
        raise UsageError(f"{unknown[0]!r}: unknown parameter; choose from {', '.join((*NUMBERS, *OTHERS))}")
    values: dict[str, Any] = {name: _number(name, parameters[name]) for name in NUMBERS if name in parameters}
    form, speed = parameters.get("format"), parameters.get("speed")
    if form is not None and form not in FORMATS:
        raise UsageError(f"format={form!r}: choose from {', '.join(FORMATS)}")
    size = TargetSize(**{side: values.pop(side, None) for side in ("scale", "width", "height")})
    if not 1 <= values.get("quality", 95) <= 100:
        raise UsageError("quality: must be between 1 and 100")
    is_stripped = parameters.get("strip_metadata", "false").lower() in ("1", "true", "yes")
    options = RestoreOptions(**values, speed=speed, size=size, strips_metadata=is_stripped)  # type: ignore[arg-type]
    return options, form and f".{form}"


def _number(name: str, text: str) -> Any:
    try:
        return NUMBERS[name](text)
    except ValueError:
        raise UsageError(f"{name}={text!r}: is no number") from None


async def _body(request: Request, most: int) -> bytes:
    """Read the body. Raises Refused if it is longer than `most` bytes, before all of it has come."""
    announced = request.headers.get("content-length", "0")
    content = bytearray()
    if announced.isdecimal() and float(announced) > most:
        raise Refused(413, f"the upload has {announced} bytes, the limit is {most}")
    async for part in request.stream():
        content += part
        if len(content) > most:
            raise Refused(413, f"the upload is larger than the limit of {most} bytes")
    if not content:
        raise Refused(400, "the request has no body; send the image as the body, e.g. curl --data-binary @photo.jpg")
    return bytes(content)


def _file(result: Result) -> Response:
    """Return the restored image as the response."""
    done = result.done
    headers = {
        "X-Lowvision-Seconds": f"{done.seconds:.3f}",
        "X-Lowvision-Share-Of-Base": f"{done.cost / done.base_cost:.4f}",
        "X-Lowvision-Tiles": " ".join(str(count) for count in done.tiles),
    }
    kind = mimetypes.guess_type(f"a{result.suffix}")[0] or "application/octet-stream"
    return Response(result.content, media_type=kind, headers=headers)


def _error(status: int, message: str) -> Response:
    headers = {"Retry-After": "1"} if status == 429 else None
    return JSONResponse({"error": message}, status, headers)


async def _http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    return JSONResponse({"error": error.detail}, error.status_code, error.headers)


async def _unexpected(request: Request, error: Exception) -> Response:
    """Answer without details; Starlette raises the error again, so that the log has the traceback."""
    return JSONResponse({"error": "internal error; the log of the server has the details"}, 500)
