"""A detector behind an endpoint, as docs/detector_http.md has it: the reference, on the standard library."""

from __future__ import annotations

import base64
import json
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

Detect = Callable[[bytes, str, list[str]], list[list[tuple[tuple[float, ...], float]]]]
"""Photo, caption and the words of each span -> for each span its (box, score) pairs."""


def answer(asked: dict[str, Any], detect: Detect) -> dict[str, Any]:
    caption = asked["caption"]
    chunks = [caption[start:end] for start, end in asked["spans"]]
    found = detect(base64.b64decode(asked["image"]), caption, chunks)
    return {"spans": [{"boxes": [box for box, _ in one], "scores": [score for _, score in one]} for one in found]}


@contextmanager
def serving(detect: Detect) -> Iterator[str]:
    """The URL of a server that runs until the block ends."""

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            asked = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
            body = json.dumps(answer(asked, detect)).encode()
            self.send_response(200)
            self.send_header("Content-Type", "application/json")
            self.send_header("Content-Length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: Any) -> None: ...

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}/detect"
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
