"""A model hub on loopback: one repository, each of whose downloads is counted."""

from __future__ import annotations

import hashlib
import json
import re
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

REVISION = "a" * 40


@dataclass
class Hub:
    """`files` of the one repository, and how often each was downloaded; `slow` seconds for each download; `main`: the
    revision that is the newest. All hold the same files."""

    name: str
    files: Mapping[str, bytes]
    slow: float = 0.0
    main: str = REVISION
    url: str = ""
    requests: int = 0
    downloads: Counter[str] = field(default_factory=Counter)


@contextmanager
def serving(hub: Hub) -> Iterator[Hub]:
    """The hub, listening."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_HEAD(self) -> None:
            self._answer()

        def do_GET(self) -> None:
            self._answer()

        def log_message(self, *_: object) -> None:
            """Says nothing."""

        def _answer(self) -> None:
            hub.requests += 1
            path = self.path.split("?")[0]
            name = path.removeprefix(f"/{hub.name}/resolve/").partition("/")[2]
            revision = re.findall("[0-9a-f]{40}", path)[:1] or [hub.main]
            if path.startswith(f"/api/models/{hub.name}/tree/"):
                tree = [
                    {"type": "file", "path": file, "size": len(data), "oid": "0"} for file, data in hub.files.items()
                ]
                self._send(json.dumps(tree).encode(), {"Content-Type": "application/json"})
            elif path.startswith(f"/api/models/{hub.name}"):
                told = {"id": hub.name, "sha": revision[0], "siblings": [{"rfilename": file} for file in hub.files]}
                self._send(json.dumps(told).encode(), {"Content-Type": "application/json"})
            elif name in hub.files:
                data = hub.files[name]
                if self.command == "GET":
                    hub.downloads[name] += 1
                    time.sleep(hub.slow)
                self._send(data, {"ETag": f'"{hashlib.sha256(data).hexdigest()}"', "X-Repo-Commit": revision[0]})
            else:
                self.send_response(404)
                self.send_header("Content-Length", "0")
                self.end_headers()

        def _send(self, data: bytes, headers: Mapping[str, str]) -> None:
            self.send_response(200)
            for header, value in {**headers, "Content-Length": str(len(data))}.items():
                self.send_header(header, value)
            self.end_headers()
            if self.command == "GET":
                self.wfile.write(data)

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    server.daemon_threads = True
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    hub.url = f"http://127.0.0.1:{server.server_address[1]}"
    try:
        yield hub
    finally:
        server.shutdown()
        server.server_close()
        thread.join()
