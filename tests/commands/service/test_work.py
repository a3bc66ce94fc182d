"""Claims about the workers of the service: how many requests they take, for how long, and what clients read."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path

import numpy as np
import pytest

from lowvision.commands.restore_request import RestoreOptions
from lowvision.commands.service.limits import Limits, Refused, Stopped
from lowvision.commands.service.work import Deadline, Workers
from lowvision.imaging import io
from lowvision.inference import restorer

LIMITS = Limits(pixels=2000, workers=1, waiting=1)


@pytest.fixture(scope="module")
def workers(weights_file: Path) -> Iterator[Workers]:
    workers = Workers(restorer.load(weights_file, device="cpu", runtime="torch"), LIMITS)
    yield workers
    workers.close()


def photo(height: int = 24, width: int = 32, suffix: str = ".png") -> bytes:
    pixels = np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)
    return io.encoded(io.Image(pixels), suffix)


def refusal(workers: Workers, content: bytes, suffix: str | None = None) -> tuple[int, str]:
    with pytest.raises(Refused) as refused:
        workers.submit(content, RestoreOptions(), suffix, Deadline(60)).result(60)
    return refused.value.status, str(refused.value)


def test_an_upload_is_restored_to_its_own_format_or_the_requested_one(workers: Workers) -> None:
    options = RestoreOptions(draws_maps=True)
    for suffix, expected in ((None, ".png"), (".jpg", ".jpg")):
        result = workers.submit(photo(), options, suffix, Deadline(60)).result(60)
        assert result.suffix == expected
        assert io.decode(result.content, "result").pixels.shape == (48, 64, 3)
        assert result.map is not None
        assert io.decode(result.map, "map").pixels.shape[0] >= 24
    assert workers.submit(photo(), RestoreOptions(), None, Deadline(60)).result(60).map is None


@pytest.mark.parametrize(
    ("content", "status", "message"),
    [
        (b"no image", 415, "the upload is not an image of a known format; send PNG, JPEG"),
        (photo()[:200], 422, "the image is damaged, truncated or of a rare variant"),
        (photo(50, 60), 422, "its header declares 60x50 pixels, the limit is 0.002 million"),
    ],
)
def test_what_cannot_be_restored_is_refused_without_a_path_of_the_server(
    workers: Workers, content: bytes, status: int, message: str
) -> None:
    actual, text = refusal(workers, content)
    assert actual == status
    assert message in text
    assert "/tmp" not in text
    assert "lowvision-" not in text


def test_places_are_limited_and_returned_also_after_an_error(workers: Workers) -> None:
    with ExitStack() as places:
        for _ in range(LIMITS.workers + LIMITS.waiting):
            places.enter_context(workers.admitted())
        with pytest.raises(Refused, match="too many requests; try again later") as refused, workers.admitted():
            pass
        assert refused.value.status == 429
    with pytest.raises(ZeroDivisionError), workers.admitted():
        _ = 1 / 0
    assert workers.running == 0


def test_a_deadline_ends_by_its_time_or_by_a_call() -> None:
    with pytest.raises(Stopped, match="the time of the request is over"):
        Deadline(-1).begin("a.png")
    deadline = Deadline(60)
    deadline.move(1, 2)
    deadline.end("a line")
    deadline.stop()
    with pytest.raises(Stopped):
        deadline.move(2, 2)


def test_a_request_whose_time_is_over_is_not_begun(workers: Workers) -> None:
    with pytest.raises(Stopped):
        workers.submit(b"no image", RestoreOptions(), None, Deadline(-1)).result(60)
