"""Limits of the service, and the errors of requests beyond them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, kw_only=True)
class Limits:
    """Limits on the requests that the service accepts."""

    upload_bytes: int = 32 * 2**20
    """Largest upload."""
    pixels: float = 25e6
    """Largest number of pixels of an image, all frames together."""
    seconds: float = 120
    """Longest time of a request, waiting included."""
    workers: int = 1
    """Images that are restored at a time; one uses all cores."""
    waiting: int = 8
    """Requests that may wait; more are refused."""


class Refused(Exception):
    """A request that gets an error as its response; the message is for the client."""

    def __init__(self, status: int, message: str):
        super().__init__(message)
        self.status = status


class Stopped(Exception):
    """The time of a request is over, or its client has gone."""
