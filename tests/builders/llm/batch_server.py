"""A Batch API on loopback, in threads of the test's process, so that what it holds outlives the clients it kills.

`with serve() as site:` and let a pass ask at `site.base_url`. A batch takes the steps of `site.course`, one each time
it is asked for. What becomes of its rows is for `site.row` to say. `site.before` and `site.after` see every call: they
may answer in its place, cut it off, or kill who called.
"""

from __future__ import annotations

import email
import json
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

KEY = "sk-test-0123456789abcdefghij"
COURSE = ("validating", "in_progress", "finalizing", "completed")
ENDED = ("completed", "failed", "expired", "cancelled")
QUEUE_FULL = ("token_limit_exceeded", "Enqueued token limit reached: 90,000 tokens.")

Row = Mapping[str, Any] | bytes | None
"""A line of the output or the error file (bytes: as they stand in the output), or None: no line at all."""


@dataclass(frozen=True)
class Call:
    """A request as it came in: the `number`-th, from 0."""

    number: int
    method: str
    path: str
    query: Mapping[str, str]
    headers: Mapping[str, str]


@dataclass(frozen=True)
class Reply:
    """What a call is answered. `cut`: the connection ends before the first byte, or, with a body, in its midst."""

    status: int = 200
    content: Any = None
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: bool = False


@dataclass
class Made:
    """A batch as the server keeps it."""

    id: str
    file: str
    mark: str
    course: list[str]
    requests: list[dict[str, Any]]
    output: bytes | None = None
    errors: bytes | None = None
    done: int = 0
    failed: int = 0
    problem: tuple[str, str] | None = None

    @property
    def status(self) -> str:
        return self.course[0]


def answered(request: Mapping[str, Any], text: str | None = None, tokens: tuple[int, int] = (100, 10)) -> Row:
    """The row of a request that was answered, by default with the words that it asked with."""
    said = text if text is not None else f"You said {request['body']['messages'][-1]['content']}"
    body = {
        "id": "chatcmpl-1",
        "object": "chat.completion",
        "model": "mill-1-2026",
        "choices": [{"index": 0, "message": {"role": "assistant", "content": said}, "finish_reason": "stop"}],
        "usage": {"prompt_tokens": tokens[0], "completion_tokens": tokens[1]},
    }
    return row(request, 200, body)


def refused(request: Mapping[str, Any], status: int, code: str) -> Row:
    return row(request, status, {"error": {"message": f"This is {code}.", "type": "some_error", "code": code}})


def row(request: Mapping[str, Any], status: int, body: Any) -> Row:
    response = {"status_code": status, "request_id": "req_1", "body": body}
    return {"id": "batch_req_1", "custom_id": request["custom_id"], "response": response, "error": None}


def ended(request: Mapping[str, Any], code: str = "batch_expired") -> Row:
    """The row of a request that no model has seen."""
    error = {"code": code, "message": "There was no time left."}
    return {"id": "batch_req_1", "custom_id": request["custom_id"], "response": None, "error": error}


@dataclass
class Site:
    """The server as a test sees and scripts it."""

    base_url: str = ""
    page: int = 100
    """Batches a page of the list, at most."""
    lag: int = 0
    """How many lists do not show a new batch yet."""
    course: Callable[[Made], Sequence[str]] = lambda made: COURSE
    row: Callable[[dict[str, Any], int], Row] = lambda request, nth: answered(request)
    """Of a request, and how many batches had asked it before."""
    before: Callable[[Call], Reply | None] = lambda call: None
    after: Callable[[Call], Reply | None] = lambda call: None
    """When the server has done what was asked, and has not said so."""
    problem: Callable[[Made], tuple[str, str] | None] = lambda made: None
    """Why a batch fails as a whole."""
    calls: list[Call] = field(default_factory=list)
    files: dict[str, bytes] = field(default_factory=dict)
    batches: dict[str, Made] = field(default_factory=dict)
    asked: Counter[str] = field(default_factory=Counter)
    faults: list[str] = field(default_factory=list)

    @property
    def marks(self) -> list[str]:
        """Of all batches, in the order in which they were made."""
        return [made.mark for made in self.batches.values()]

    def answer(self, call: Call, body: bytes) -> Reply:
        """What is asked for, done and told."""
        if call.headers.get("authorization") != f"Bearer {KEY}":
            return error(401, "invalid_api_key", f"Incorrect API key provided: {KEY}.")
        match call.method, call.path.removeprefix("/v1/").split("/"):
            case "POST", ["files"]:
                return self._upload(call, body)
            case "POST", ["batches"]:
                return self._create(json.loads(body))
            case "GET", ["batches"]:
                return self._list(call.query)
            case "GET", ["batches", name] if name in self.batches:
                return Reply(content=self._step(self.batches[name]))
            case "GET", ["files", name, "content"] if name in self.files:
                return Reply(content=self.files[name])
        return error(404, None, f"No such thing: {call.path}")

    def _upload(self, call: Call, body: bytes) -> Reply:
        form = email.message_from_bytes(b"Content-Type: " + call.headers["content-type"].encode() + b"\r\n\r\n" + body)
        parts = {part.get_param("name", header="content-disposition"): part for part in form.get_payload()}
        assert parts["purpose"].get_payload() == "batch"
        assert parts["file"].get_filename().endswith(".jsonl")
        name = f"file-{len(self.files)}"
        self.files[name] = parts["file"].get_payload(decode=True)
        return Reply(content={"id": name, "object": "file", "purpose": "batch"})

    def _create(self, asked: dict[str, Any]) -> Reply:
        assert asked["completion_window"] == "24h"
        requests = [json.loads(line) for line in self.files[asked["input_file_id"]].splitlines()]
        assert all(one["method"] == "POST" and one["url"] == asked["endpoint"] for one in requests)
        assert len({one["custom_id"] for one in requests}) == len(requests)
        mark = asked["metadata"]["gristmill"]
        made = Made(f"batch_{len(self.batches)}", asked["input_file_id"], mark, [], requests)
        made.course = list(self.course(made))
        self.batches[made.id] = made
        made.problem = self.problem(made)
        if made.problem:
            made.course = ["validating", "failed"]
        self._hidden[made.id] = self.lag
        return Reply(content=self._told(made))

    _hidden: dict[str, int] = field(default_factory=dict)

    def _list(self, query: Mapping[str, str]) -> Reply:
        shown = [made for made in self.batches.values() if not self._hidden[made.id]][::-1]
        for name, lists in self._hidden.items():
            self._hidden[name] = max(0, lists - 1)
        names = [made.id for made in shown]
        start = names.index(query["after"]) + 1 if "after" in query else 0
        end = start + min(int(query.get("limit", 20)), self.page)
        data = [self._told(made) for made in shown[start:end]]
        return Reply(content={"object": "list", "data": data, "has_more": end < len(shown)})

    def _step(self, made: Made) -> dict[str, Any]:
        if len(made.course) > 1:
            made.course.pop(0)
            if made.status in ENDED and made.status != "failed":
                self._finish(made)
        return self._told(made)

    def _finish(self, made: Made) -> None:
        output, errors = [], []
        for request in made.requests:
            found = self.row(request, self.asked[request["custom_id"]])
            self.asked[request["custom_id"]] += 1
            if isinstance(found, bytes):
                output.append(found)
            elif found is not None:
                good = found["response"] and found["response"]["status_code"] == 200
                (output if good else errors).append(json.dumps(found).encode() + b"\n")
        made.done, made.failed = len(output), len(errors)
        for kind, rows in (("output", output), ("errors", errors)):
            if rows:
                self.files[f"file-{made.id}-{kind}"] = b"".join(rows)

    def _told(self, made: Made) -> dict[str, Any]:
        files = {kind: f"file-{made.id}-{kind}" for kind in ("output", "errors")}
        problem = made.status == "failed" and made.problem
        return {
            "id": made.id,
            "object": "batch",
            "endpoint": "/v1/chat/completions",
            "status": made.status,
            "metadata": {"gristmill": made.mark} if made.mark else None,
            "input_file_id": made.file,
            "output_file_id": files["output"] if files["output"] in self.files else None,
            "error_file_id": files["errors"] if files["errors"] in self.files else None,
            "request_counts": {"total": len(made.requests), "completed": made.done, "failed": made.failed},
            "errors": {"object": "list", "data": [{"code": problem[0], "message": problem[1]}]} if problem else None,
        }

    def somebody_elses(self, course: Sequence[str] = COURSE) -> None:
        """A batch of the account that is not of gristmill."""
        name = f"batch_{len(self.batches)}"
        self.batches[name] = Made(name, "file-x", "", list(course), [])
        self._hidden[name] = 0


def error(status: int, code: str | None, message: str, **headers: str) -> Reply:
    content = {"error": {"message": message, "type": "some_error", "param": None, "code": code}}
    return Reply(status, content, {name.replace("_", "-"): value for name, value in headers.items()})


@contextmanager
def serve() -> Iterator[Site]:
    """Serves until the context is left, which raises what went wrong in the server itself."""
    site, lock = Site(), threading.Lock()

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
            if self.headers.get("Transfer-Encoding") == "chunked":
                body = b"".join(iter(self._chunk, b""))
            parts = urlsplit(self.path)
            query = {name: values[0] for name, values in parse_qs(parts.query).items()}
            headers = {name.lower(): value for name, value in self.headers.items()}
            with lock:  # one call after the other, so that they have numbers
                call = Call(len(site.calls), self.command, parts.path, query, headers)
                site.calls.append(call)
                try:
                    reply = site.before(call) or self._done(call, body)
                except Exception as wrong:
                    site.faults.append(f"{call}: {wrong!r}")
                    reply = Reply(500, {})
            self._send(reply)

        do_POST = do_GET

        def _done(self, call: Call, body: bytes) -> Reply:
            reply = site.answer(call, body)
            return site.after(call) or reply

        def _chunk(self) -> bytes:
            size = int(self.rfile.readline(), 16)
            return self.rfile.read(size + 2)[:size]

        def _send(self, reply: Reply) -> None:
            content = reply.content if isinstance(reply.content, bytes) else json.dumps(reply.content).encode()
            if reply.cut and reply.content is None:
                return
            kind = "application/octet-stream" if isinstance(reply.content, bytes) else "application/json"
            try:
                self.send_response(reply.status)
                for name, value in {"Content-Type": kind, **reply.headers}.items():
                    self.send_header(name, value)
                self.send_header("Content-Length", str(len(content)))
                self.end_headers()
                self.wfile.write(content[: len(content) // 2] if reply.cut else content)
            except OSError:  # the caller is gone: killed, perhaps by this very call
                self.close_connection = True

        def log_message(self, format: str, *args: Any) -> None:
            """Nobody reads it."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        site.base_url = f"http://127.0.0.1:{server.server_address[1]}/v1"
        thread = threading.Thread(target=server.serve_forever, args=(0.02,), name="test batch server", daemon=True)
        thread.start()
        try:
            yield site
        finally:
            server.shutdown()
            thread.join(5)
    assert not site.faults, "\n".join(site.faults)
