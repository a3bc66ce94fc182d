"""Counters of the service in the text format of Prometheus."""

from __future__ import annotations

from collections import Counter
from threading import Lock

SECONDS = (0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 120)
"""Upper bounds of the histogram of response times."""


class Metrics:
    """Counters; safe in several threads."""

    def __init__(self) -> None:
        self._lock = Lock()
        self._responses: Counter[int] = Counter()
        self._within: Counter[float] = Counter()
        self._seconds = 0.0
        self._tiles: Counter[int] = Counter()
        self._pixels = 0
        self._cost = self._base_cost = 0

    def count_response(self, status: int, seconds: float) -> None:
        """Count a response to POST /restore."""
        with self._lock:
            self._responses[status] += 1
            self._seconds += seconds
            self._within.update(bound for bound in SECONDS if seconds <= bound)

    def count_image(self, pixels: int, tiles: tuple[int, ...], cost: int, base_cost: int) -> None:
        """Count a restored image."""
        with self._lock:
            self._pixels += pixels
            self._cost += cost
            self._base_cost += base_cost
            self._tiles.update(dict(enumerate(tiles)))

    def text(self, running: int) -> str:
        """Return all counters; running: requests that are being answered."""
        with self._lock:
            total = sum(self._responses.values())
            lines = ["# TYPE lowvision_responses_total counter"]
            lines += [f'lowvision_responses_total{{status="{s}"}} {n}' for s, n in sorted(self._responses.items())]
            lines += ["# TYPE lowvision_response_seconds histogram"]
            lines += [f'lowvision_response_seconds_bucket{{le="{b:g}"}} {self._within[b]}' for b in SECONDS]
            lines += [f'lowvision_response_seconds_bucket{{le="+Inf"}} {total}']
            lines += [
                f"lowvision_response_seconds_sum {self._seconds:.6f}",
                f"lowvision_response_seconds_count {total}",
            ]
            lines += ["# TYPE lowvision_tiles_total counter"]
            lines += [f'lowvision_tiles_total{{branch="{k}"}} {n}' for k, n in sorted(self._tiles.items())]
            lines += ["# TYPE lowvision_pixels_total counter", f"lowvision_pixels_total {self._pixels}"]
            lines += ["# TYPE lowvision_multiply_adds_total counter"]
            lines += [f'lowvision_multiply_adds_total{{of="spent"}} {self._cost}']
            lines += [f'lowvision_multiply_adds_total{{of="base"}} {self._base_cost}']
            lines += ["# TYPE lowvision_running gauge", f"lowvision_running {running}"]
        return "\n".join(lines) + "\n"
