"""Load test of `lowvision serve` on this machine: requests a second, response times, memory, and hostile requests.

    python benchmarks/serve.py [WEIGHTS] [--requests 2000] [--hostile 200] [--clients 4] [--side 64]

Starts a server with the limits of its defaults, sends photographs of the sample data set, cut to `side` pixels, from
several clients at once, and at random places hostile requests: random bytes, half a file, a header that
announces a huge image, an upload beyond the limit, a connection that closes in the middle, unknown paths and names.
Prints the statuses, requests a second, the median and the 99th percentile of the seconds of good requests, the peak RSS
after a tenth of the requests and at the end, and the seconds until the server has stopped. Fails if a good request
fails, if a hostile one gets anything but an error of the client, or if a response holds a traceback.
"""

from __future__ import annotations

import argparse
import http.client
import random
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable
from pathlib import Path

import numpy as np
import psutil

from lowvision.imaging import io
from lowvision.plugins import registry

PNG_BOMB = b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR\0\1\0\0\0\1\0\0\x08\2\0\0\0" + bytes(64)
"""The header of an image of 65536x65536 pixels."""

Send = Callable[[], int]
"""Send a request and return its status; 0 if the client closed the connection."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("weights", nargs="?", default="sr-fsrcnn-x4")
    parser.add_argument("--requests", type=int, default=2000)
    parser.add_argument("--hostile", type=int, default=200)
    parser.add_argument("--clients", type=int, default=4)
    parser.add_argument("--side", type=int, default=64)
    arguments = parser.parse_args()
    port = free_port()
    command = [sys.executable, "-m", "lowvision", "serve", "-m", arguments.weights, "--port", str(port)]
    with subprocess.Popen(command, stderr=subprocess.DEVNULL) as server:
        try:
            wait_for(port, server)
            measure(port, psutil.Process(server.pid), arguments)
        finally:
            began = time.perf_counter()
            server.send_signal(signal.SIGTERM)
            server.wait(180)
    print(f"stopped in {time.perf_counter() - began:.1f} s")


def measure(port: int, server: psutil.Process, arguments: argparse.Namespace) -> None:
    """Send all requests and print the result."""
    random.seed(0)
    good, hostile = requests(port, arguments.side)
    count = arguments.requests - arguments.hostile
    queue = [(True, good)] * count + [(False, hostile[n % len(hostile)]) for n in range(arguments.hostile)]
    random.shuffle(queue)
    results: list[tuple[bool, int, float]] = []
    early = [0]
    lock = threading.Lock()

    def client() -> None:
        while True:
            with lock:
                if not queue:
                    return
                is_good, send = queue.pop()
            began = time.perf_counter()
            status = send()
            with lock:
                results.append((is_good, status, time.perf_counter() - began))
                if len(results) == arguments.requests // 10:
                    early[0] = server.memory_info().rss

    began = time.perf_counter()
    threads = [threading.Thread(target=client) for _ in range(arguments.clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - began
    report(results, seconds, early[0] / 2**20, server.memory_info().rss / 2**20, sum(server.cpu_times()[:2]))


def report(results: list[tuple[bool, int, float]], seconds: float, early: float, late: float, cpu: float) -> None:
    """Print the figures. Exits with 1 if a request got the wrong kind of response."""
    for is_good, name in ((True, "good"), (False, "hostile")):
        print(name, dict(sorted(Counter(status for kind, status, _ in results if kind is is_good).items())))
    times = np.array([taken for is_good, _, taken in results if is_good])
    print(f"{len(results)} requests in {seconds:.1f} s: {len(results) / seconds:.1f} a second; CPU {cpu:.1f} s")
    print(f"good requests: p50 {np.percentile(times, 50):.3f} s, p99 {np.percentile(times, 99):.3f} s")
    print(f"RSS after a tenth {early:.0f} MiB, at the end {late:.0f} MiB")
    wrong = [
        (kind, status) for kind, status, _ in results if not (status == 200 if kind else status < 500 and status != 200)
    ]
    if wrong:
        sys.exit(f"wrong: {Counter(wrong)}")


def requests(port: int, side: int) -> tuple[Send, list[Send]]:
    """Return a good request and the hostile ones."""
    photo = next(iter(registry.load().find("datasets", "samples_test").component().photos()))
    pixels = io.read_rgb(photo.gt)[:side, :side]
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "photo.png")
        io.write(path, io.Image(pixels))
        content = path.read_bytes()

    def post(path: str, body: bytes) -> Send:
        return lambda: send(port, "POST", path, body)

    return post("/restore", content), [
        post("/restore", random.randbytes(5000)),
        post("/restore", content[: len(content) // 2]),
        post("/restore", PNG_BOMB),
        post("/restore", bytes(33 * 2**20)),
        post("/restore?budget=nan&x=1", content),
        post("/restore", b""),
        post("/../../etc/passwd", content),
        lambda: leave(port, content),
    ]


def send(port: int, method: str, path: str, body: bytes) -> int:
    """Send a request and return the status. Raises AssertionError if the response holds a traceback."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=300)
    try:
        connection.request(method, path, body)
        response = connection.getresponse()
        assert b"Traceback" not in response.read()
        return response.status
    except (BrokenPipeError, ConnectionResetError):  # the server has answered before it read the whole upload
        return 413
    finally:
        connection.close()


def leave(port: int, content: bytes) -> int:
    """Send half of a request and close the connection."""
    with socket.create_connection(("127.0.0.1", port)) as connection:
        connection.sendall(f"POST /restore HTTP/1.1\r\nHost: x\r\nContent-Length: {len(content)}\r\n\r\n".encode())
        connection.sendall(content[: len(content) // 2])
    return 0


def free_port() -> int:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port: int = listener.getsockname()[1]
        return port


def wait_for(port: int, server: subprocess.Popen[bytes]) -> None:
    """Wait until the server answers."""
    while server.poll() is None:
        try:
            if send(port, "GET", "/health", b"") == 200:
                return
        except OSError:
            time.sleep(0.2)
    sys.exit("the server did not start")


if __name__ == "__main__":
    main()
