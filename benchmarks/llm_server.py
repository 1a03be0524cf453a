"""A chat endpoint on loopback that answers after a while: `python -m benchmarks.llm_server LEAST MOST`.

Prints its port. Every answer takes LEAST to MOST seconds, drawn from the prompt, so that equal requests take as long
in any run. `GET /log` gives [came, answered] of each request, in seconds of one clock, and forgets them.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import sys
import time

from aiohttp import web

ANSWER = "Question:\nWhat is in the picture?\n===\nAnswer:\nThere are several shapes on a plain ground."


def serve(least: float, most: float) -> None:
    """Until the process is ended."""
    log: list[tuple[float, float]] = []

    async def chat(request: web.Request) -> web.Response:
        came = time.monotonic()
        body = await request.read()
        share = int.from_bytes(hashlib.blake2b(body, digest_size=4).digest(), "big") / 2**32
        await asyncio.sleep(least + share * (most - least) - (time.monotonic() - came))
        log.append((came, time.monotonic()))
        message = {"role": "assistant", "content": ANSWER}
        told = {
            "id": "chatcmpl-1",
            "object": "chat.completion",
            "created": 0,
            "model": "loopback",
            "choices": [{"index": 0, "finish_reason": "stop", "message": message}],
            "usage": {"prompt_tokens": len(body) // 4, "completion_tokens": 20, "total_tokens": len(body) // 4 + 20},
        }
        return web.json_response(told)

    async def told(_: web.Request) -> web.Response:
        lines, log[:] = list(log), []
        return web.json_response(lines)

    async def run() -> None:
        app = web.Application(client_max_size=2**26)
        app.add_routes([web.post("/v1/chat/completions", chat), web.get("/log", told)])
        runner = web.AppRunner(app, access_log=None)
        await runner.setup()
        site = web.TCPSite(runner, "127.0.0.1", 0, backlog=1024)
        await site.start()
        print(json.dumps(runner.addresses[0][1]), flush=True)
        await asyncio.Event().wait()

    asyncio.run(run())


if __name__ == "__main__":
    serve(float(sys.argv[1]), float(sys.argv[2]))
