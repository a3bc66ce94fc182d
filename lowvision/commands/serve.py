"""Start the HTTP service, and stop it gracefully."""

from __future__ import annotations

import functools
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from lowvision.commands.service.limits import Limits
from lowvision.errors import UsageError
from lowvision.inference import restorer
from lowvision.models import pretrained
from lowvision.plugins.contracts import Precision
from lowvision.plugins.registry import Registry

logger = logging.getLogger("lowvision")

LOCAL = ("127.0.0.1", "localhost")
"""Addresses that only this computer reaches."""


def run(
    weights: Path,
    registry: Registry,
    limits: Limits,
    *,
    host: str,
    port: int,
    device: str,
    runtime: str | Mapping[str, Any],
    precision: Precision,
    has_page: bool = False,
) -> None:
    """Serve until SIGINT or SIGTERM; then no request is accepted, and those that run are finished within their time.

    has_page: also serve a page for browsers. Raises UsageError if the extra `serve` is not installed.
    """
    try:
        import uvicorn
        from starlette.middleware.trustedhost import TrustedHostMiddleware

        from lowvision.commands.service.app import Service, application
        from lowvision.commands.service.page import Page
    except ImportError:
        raise UsageError("serve needs Starlette and uvicorn; run pip install 'lowvision-framework[serve]'") from None

    def service_of(name: str) -> Service:
        """Load the weights that a plugin ships."""
        return Service(load(pretrained.find(Path(name), registry)), name, limits)

    load = functools.partial(restorer.load, device=device, runtime=runtime, registry=registry, precision=precision)
    network = load(weights)
    others = {name: functools.partial(service_of, name) for name in registry["weights"]}
    logger.info("open http://%s:%d/" if has_page else "POST an image to http://%s:%d/restore", host, port)
    app = application(
        network, weights.stem, limits, (lambda service: Page(service, others).routes) if has_page else None
    )
    if host in LOCAL:  # a page of another site cannot reach a local service by a name that points here
        app.add_middleware(TrustedHostMiddleware, allowed_hosts=list(LOCAL))
    uvicorn.run(
        app,
        host=host,
        port=port,
        log_level="warning",
        access_log=False,
        server_header=False,
        timeout_graceful_shutdown=round(limits.seconds) + 1,
        limit_concurrency=4 * (limits.workers + limits.waiting) + 16,  # connections; refused ones get 503
        h11_max_incomplete_event_size=64 * 2**10,
    )
