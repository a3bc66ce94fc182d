"""Claims about the HTTP service: a real server on a free port, real requests."""

from __future__ import annotations

import http.client
import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import uvicorn

from lowvision.commands.restore_outcomes import Done
from lowvision.commands.service import page, work
from lowvision.commands.service.app import application
from lowvision.commands.service.limits import Limits
from lowvision.imaging import io
from lowvision.inference import restorer
from lowvision.plugins import registry

KNOWN = registry.load()
LIMITS = Limits(upload_bytes=100_000, pixels=10_000, seconds=20, waiting=1)


class Client:
    """Requests to a server, each in a new connection."""

    def __init__(self, port: int):
        self.port = port

    def __call__(self, method: str, path: str, body: Any = None, **headers: str) -> tuple[int, bytes, Any]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=60)
        try:
            connection.request(method, path, body, headers)
            response = connection.getresponse()
            return response.status, response.read(), response.headers
        finally:
            connection.close()

    def error(self, path: str, body: Any = None, **headers: str) -> tuple[int, str]:
        status, content, _ = self("POST", path, body, **headers)
        return status, json.loads(content)["error"]


@pytest.fixture(scope="module")
def network(weights_file: Path) -> restorer.Restorer:
    return restorer.load(weights_file, device="cpu", runtime="torch", registry=KNOWN)


@pytest.fixture(scope="module")
def client(network: restorer.Restorer) -> Iterator[Client]:
    app = application(network, "tiny", LIMITS, lambda service: page.Page(service).routes)
    server = uvicorn.Server(uvicorn.Config(app, port=0, log_level="critical"))
    thread = threading.Thread(target=server.run)
    thread.start()
    while not server.started:
        time.sleep(0.01)
    yield Client(server.servers[0].sockets[0].getsockname()[1])
    server.should_exit = True
    thread.join(30)
    assert not thread.is_alive()


@pytest.fixture
def photo(tmp_path: Path) -> bytes:
    pixels = np.random.default_rng(0).integers(0, 255, (24, 32, 3), np.uint8)
    io.write(tmp_path / "a.png", io.Image(pixels))
    return (tmp_path / "a.png").read_bytes()


def test_a_response_equals_the_result_of_restore(
    client: Client, network: restorer.Restorer, photo: bytes, tmp_path: Path
) -> None:
    status, content, headers = client("POST", "/restore", photo)
    assert (status, headers["content-type"]) == (200, "image/png")
    (tmp_path / "b.png").write_bytes(content)
    expected = network.restore(io.read(tmp_path / "a.png").pixels).image
    np.testing.assert_array_equal(io.read(tmp_path / "b.png").pixels, expected)
    assert sum(int(count) for count in headers["x-lowvision-tiles"].split()) > 1


def test_request_parameters_equal_those_of_restore(client: Client, photo: bytes, tmp_path: Path) -> None:
    status, content, headers = client("POST", "/restore?format=webp&quality=100&width=40&budget=0.5", photo)
    assert (status, headers["content-type"]) == (200, "image/webp")
    (tmp_path / "b.webp").write_bytes(content)
    assert io.read(tmp_path / "b.webp").pixels.shape == (30, 40, 3)
    unlimited_cost = client("POST", "/restore", photo)[2]
    assert float(headers["x-lowvision-share-of-base"]) < float(unlimited_cost["x-lowvision-share-of-base"])


@pytest.mark.parametrize(
    ("query", "message"),
    [
        ("bugdet=1", "unknown parameter"),
        ("budget=much", "is no number"),
        ("format=exe", "choose from"),
        ("quality=0", "between 1 and 100"),
        ("budget=-1", "budget must be a positive"),
        ("speed=warp", "speed must be one of"),
        ("width=0", ""),
    ],
)
def test_invalid_parameters_return_status_400(client: Client, photo: bytes, query: str, message: str) -> None:
    status, error = client.error(f"/restore?{query}", photo)
    assert status == 400
    assert message in error


def test_hostile_uploads_are_refused_in_one_line(client: Client, photo: bytes, tmp_path: Path) -> None:
    io.write(tmp_path / "large.png", io.Image(np.zeros((101, 100, 1), np.uint8)))
    cases = {
        b"": 400,
        b"<?php system('id'); ?>": 415,
        b"\0" * 100_001: 413,
        photo[: len(photo) // 2]: 422,
        (tmp_path / "large.png").read_bytes(): 422,
    }
    for body, expected in cases.items():
        status, error = client.error("/restore", body)
        assert status == expected, body[:20]
        assert "\n" not in error
        assert "Traceback" not in error
        assert "/tmp" not in error
    assert client("POST", "/restore", photo)[0] == 200


def test_the_upload_limit_applies_without_content_length(client: Client) -> None:
    status, _, _ = client("POST", "/restore", iter([b"x" * 60_000] * 3))
    assert status == 413


def test_unknown_paths_and_methods_return_json_errors(client: Client) -> None:
    for method, path, expected in (("GET", "/etc/passwd", 404), ("GET", "/restore", 405), ("GET", "/../x", 404)):
        status, content, _ = client(method, path)
        assert status == expected
        assert json.loads(content)["error"]


def test_health_weights_and_metrics_are_served(client: Client, photo: bytes) -> None:
    assert client("GET", "/health")[:2] == (200, b'{"status":"ok"}')
    weights = json.loads(client("GET", "/weights")[1])
    assert (weights["name"], weights["scale"], weights["branches"]) == ("tiny", 2, 3)
    client("POST", "/restore", photo)
    client("POST", "/restore", b"no image")
    metrics = client("GET", "/metrics")[1].decode()
    assert 'lowvision_responses_total{status="200"}' in metrics
    assert 'lowvision_responses_total{status="415"}' in metrics
    assert 'lowvision_multiply_adds_total{of="spent"}' in metrics


class Gate:
    """Blocks restores until released."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch):
        self.is_open, self.entered = threading.Event(), threading.Event()
        original = work.restored

        def waiting(*arguments: Any) -> Done:
            self.entered.set()
            while not self.is_open.wait(0.01):
                arguments[3].check()
            return original(*arguments)

        monkeypatch.setattr(work, "restored", waiting)


def test_requests_beyond_the_queue_limit_return_429(
    client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch
) -> None:
    gate = Gate(monkeypatch)
    statuses: list[int] = []
    threads = [threading.Thread(target=lambda: statuses.append(client("POST", "/restore", photo)[0])) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert gate.entered.wait(20)
    while "lowvision_running 2" not in client("GET", "/metrics")[1].decode():
        time.sleep(0.01)
    status, _, headers = client("POST", "/restore", photo)
    assert (status, headers["retry-after"]) == (429, "1")
    gate.is_open.set()
    for thread in threads:
        thread.join(60)
    assert statuses == [200, 200]


def test_a_disconnected_client_stops_its_restore(client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    gate = Gate(monkeypatch)
    with socket.create_connection(("127.0.0.1", client.port)) as connection:
        head = f"POST /restore HTTP/1.1\r\nHost: x\r\nContent-Length: {len(photo)}\r\n\r\n"
        connection.sendall(head.encode() + photo)
        assert gate.entered.wait(20)
    while "lowvision_running 0" not in client("GET", "/metrics")[1].decode():
        time.sleep(0.01)  # ends by the gate's check of the deadline, or never


def test_a_restore_stops_at_its_time_limit(network: restorer.Restorer, photo: bytes) -> None:
    workers = work.Workers(network, LIMITS)
    future = workers.submit(photo, work.RestoreOptions(), None, work.Deadline(-1))
    with pytest.raises(work.Stopped):
        future.result(20)
    workers.close()


def test_the_page_loads_nothing_from_other_hosts(client: Client) -> None:
    status, content, headers = client("GET", "/")
    assert status == 200
    assert b"http://" not in content.replace(b"http://www.w3.org", b"")
    assert b"https://" not in content
    assert headers["content-security-policy"].startswith("default-src 'none'")


def test_the_page_receives_result_and_route_map(client: Client, photo: bytes, tmp_path: Path) -> None:
    status, content, _ = client("POST", "/page/restore/tiny", photo, Origin=f"http://127.0.0.1:{client.port}")
    answer = json.loads(content)
    assert (status, answer["width"], answer["height"], answer["suffix"]) == (200, 64, 48, ".png")
    for part, height in (("image", 48), ("map", 24)):
        status, content, headers = client("GET", f"/{answer[part]}")
        (tmp_path / "part.png").write_bytes(content)
        assert (status, headers["content-type"]) == (200, "image/png")
        assert io.read(tmp_path / "part.png").pixels.shape[0] >= height
    assert client("GET", "/page/results/other/image")[0] == 404
    assert client("GET", "/page/weights/../../etc/passwd")[0] == client("POST", "/page/restore/no", photo)[0] == 404
    assert client("GET", "/" + answer["image"].replace("image", "passwd"))[0] == 404


def test_requests_from_other_origins_are_refused(client: Client, photo: bytes) -> None:
    status, error = client.error("/page/restore/tiny", photo, Origin="https://example.org")
    assert (status, error) == (403, "requests of other pages are refused")


def test_old_results_of_the_page_are_dropped(client: Client, photo: bytes, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(page, "KEPT", 2)
    names = [json.loads(client("POST", "/page/restore/tiny", photo)[1])["image"] for _ in range(3)]
    assert [client("GET", f"/{name}")[0] for name in names] == [404, 200, 200]
