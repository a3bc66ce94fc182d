"""The page of `lowvision app`: choose weights, upload photographs in a browser and compare the results."""

from __future__ import annotations

import asyncio
import mimetypes
import secrets
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from lowvision.commands.service.app import Service
from lowvision.commands.service.work import Result
from lowvision.errors import LowvisionError

PAGE = Path(__file__).with_name("page.html")
POLICY = (
    "default-src 'none'; connect-src 'self'; img-src 'self' blob: data:; style-src 'unsafe-inline'; "
    "script-src 'unsafe-inline'; frame-ancestors 'none'; base-uri 'none'; form-action 'none'"
)
"""Nothing is loaded from another host, and no other page can embed this one."""
HEADERS = {
    "Content-Security-Policy": POLICY,
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
KEPT = 64
"""Results in memory; the oldest are dropped."""
KEPT_BYTES = 512 * 2**20
"""Bytes of results in memory."""


@dataclass(frozen=True)
class Stored:
    """A result that the browser may fetch."""

    image: bytes
    suffix: str
    map: bytes


class Page:
    """The handlers of the page."""

    def __init__(self, service: Service, others: Mapping[str, Callable[[], Service]] | None = None):
        """Serve a network, and others by name, each loaded when it is first chosen."""
        self._first, self._services = service, {service.name: service}
        self._others = {name: load for name, load in (others or {}).items() if name != service.name}
        self._loading = asyncio.Lock()
        self._results: OrderedDict[str, Stored] = OrderedDict()

    @property
    def routes(self) -> list[Route]:
        """The routes of the page, in addition to those of the service."""
        return [
            Route("/", self.show),
            Route("/page/weights", self.weights),
            Route("/page/weights/{name:path}", self.facts),
            Route("/page/restore/{name:path}", self.restore, methods=["POST"]),
            Route("/page/compare/{name:path}", self.compare, methods=["POST"]),
            Route("/page/results/{name}/{part}", self.result),
        ]

    async def show(self, request: Request) -> Response:
        """Return the page."""
        return Response(PAGE.read_bytes(), media_type="text/html", headers=HEADERS)

    async def weights(self, request: Request) -> Response:
        """List the names of the weights, the first ones first."""
        return JSONResponse([*dict.fromkeys([*self._services, *self._others])])

    async def facts(self, request: Request) -> Response:
        """Describe the weights of a name, after loading them if they are not."""
        try:
            service = await self._service(request)
        except LowvisionError as error:
            return JSONResponse({"error": str(error)}, 400)
        return await service.weights(request) if service else self._unknown()

    async def restore(self, request: Request) -> Response:
        """Restore the image in the body; return where the result and its route map are."""
        return await self._answer(request, self._stored)

    async def compare(self, request: Request) -> Response:
        """Restore the image in the body; return its seconds beside those of the base on the whole image."""
        return await self._answer(request, self._compared, compares=True)

    async def _answer(
        self, request: Request, respond: Callable[[Result], Response], compares: bool = False
    ) -> Response:
        origin = request.headers.get("origin")
        if origin and origin.partition("://")[2] != request.headers.get("host"):
            return JSONResponse({"error": "requests of other pages are refused"}, 403)
        service = self._services.get(request.path_params["name"])
        return await service.answer(request, respond, True, compares) if service else self._unknown()

    async def _service(self, request: Request) -> Service | None:
        """Return the service of the weights that a request names, after loading them once; None if there is none."""
        name = request.path_params["name"]
        async with self._loading:
            if name not in self._services and name in self._others:
                self._services[name] = await asyncio.to_thread(self._others[name])
                self._first.others.append(self._services[name])
        return self._services.get(name)

    def _unknown(self) -> Response:
        return JSONResponse({"error": "no such weights; load the page again"}, 404)

    async def result(self, request: Request) -> Response:
        """Return a stored image or route map."""
        stored = self._results.get(request.path_params["name"])
        part = request.path_params["part"]
        if stored is None or part not in ("image", "map"):
            return JSONResponse({"error": "no such result; restore the image again"}, 404)
        content, suffix = (stored.image, stored.suffix) if part == "image" else (stored.map, ".png")
        return Response(content, media_type=mimetypes.guess_type(f"a{suffix}")[0], headers=HEADERS)

    def _compared(self, result: Result) -> Response:
        assert result.comparison is not None
        return JSONResponse({"seconds": result.comparison.routed, "whole_seconds": result.comparison.whole})

    def _stored(self, result: Result) -> Response:
        """Keep a result and return its facts."""
        name = secrets.token_urlsafe(16)
        self._results[name] = Stored(result.content, result.suffix, result.map or b"")
        while len(self._results) > 1 and (len(self._results) > KEPT or self._bytes > KEPT_BYTES):
            self._results.popitem(last=False)
        done = result.done
        return JSONResponse(
            {
                "image": f"page/results/{name}/image",
                "map": f"page/results/{name}/map",
                "suffix": result.suffix,
                "width": done.result_width,
                "height": done.result_height,
                "seconds": done.seconds,
                "share": done.cost / done.base_cost,
            }
        )

    @property
    def _bytes(self) -> int:
        return sum(len(each.image) + len(each.map) for each in self._results.values())
