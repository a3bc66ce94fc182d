"""A server with the requests of the Hugging Face Hub that uploads and downloads of small files make."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

COMMIT = "1" * 40


class Hub:
    """The repositories of the server: files by repository and path."""

    def __init__(self) -> None:
        self.repos: dict[str, dict[str, bytes]] = {}
        self.private: dict[str, bool] = {}
        self.tokens: list[str | None] = []
        self.endpoint = ""

    def post(self, path: str, body: bytes) -> Any:
        """Return the answer to a POST request; None: there is no such path."""
        if path == "/api/repos/create":
            asked = json.loads(body)
            name = f"{asked['organization']}/{asked['name']}"
            self.repos.setdefault(name, {})
            self.private[name] = asked.get("visibility") == "private" or asked.get("private", False)
            return {"url": f"{self.endpoint}/{name}"}
        if path == "/api/validate-yaml":
            return {"errors": [], "warnings": []}
        repo = "/".join(path.split("/")[3:5])
        if repo not in self.repos:
            return None
        if path.endswith("/preupload/main"):
            names = [file["path"] for file in json.loads(body)["files"]]
            return {"files": [{"path": name, "uploadMode": "regular", "shouldIgnore": False} for name in names]}
        if path.endswith("/commit/main"):
            for line in map(json.loads, body.splitlines()):
                if line["key"] == "file":
                    self.repos[repo][line["value"]["path"]] = base64.b64decode(line["value"]["content"])
            return {"success": True, "commitOid": COMMIT, "commitUrl": f"{self.endpoint}/{repo}/commit/{COMMIT}"}
        return None

    def file(self, path: str) -> bytes | None:
        """Return the content of `/user/name/resolve/REVISION/FILE`."""
        user, name, _, _, *rest = path.removeprefix("/").split("/")
        return self.repos.get(f"{user}/{name}", {}).get("/".join(rest))


@contextmanager
def running() -> Iterator[Hub]:
    """Serve an empty hub at a free port."""
    hub = Hub()

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._send_file(body=False)

        def do_GET(self) -> None:
            self._send_file(body=True)

        def do_POST(self) -> None:
            hub.tokens.append(self.headers.get("Authorization"))
            answer = hub.post(self.path.partition("?")[0], self.rfile.read(int(self.headers["Content-Length"] or 0)))
            self._send(200 if answer is not None else 404, json.dumps(answer).encode(), {})

        def log_message(self, *_: Any) -> None:
            """Print nothing."""

        def _send_file(self, body: bool) -> None:
            content = hub.file(self.path.partition("?")[0])
            if content is None:
                self._send(404, b"", {"X-Error-Code": "RepoNotFound"})
            else:
                digest = hashlib.sha256(content).hexdigest()
                self._send(200, content, {"X-Repo-Commit": COMMIT, "ETag": f'"{digest}"'}, body)

        def _send(self, status: int, content: bytes, headers: dict[str, str], body: bool = True) -> None:
            self.send_response(status)
            for name, value in {**headers, "Content-Length": str(len(content))}.items():
                self.send_header(name, value)
            self.end_headers()
            if body:
                self.wfile.write(content)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    hub.endpoint = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True)
    thread.start()
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
