"""The small process that speaks with espeak-ng: `python -I -S espeak_process.py LIBRARY DATA MOST_BYTES`.

espeak-ng carries state from one text to the next, so the same text twice gives different samples. Here every text is
spoken by a child, forked from the process as it was just after the start: the samples depend on the request alone. A
child that hangs or crashes is one text lost. This file imports nothing but the standard library: it starts in some
60 ms, holds 17 MB, and has no threads that a child could miss.

Both ways a message is a length (4 bytes, big endian) and JSON. First the process says {"rate": Hz}, or {"error": text}
and ends. To each request {"text", "voice", "rate", "pitch", "seconds"} (words/min; 0..99; the most that it may take)
it answers {"bytes": n} and n bytes of 16-bit mono samples, little endian, or {"error": text}. It ends with its input.
"""

from __future__ import annotations

import ctypes
import gc
import json
import mmap
import os
import signal
import struct
import sys
from typing import Any, BinaryIO

_SYNCHRONOUS, _NO_EXIT, _BUFFER_MS = 2, 0x8000, 2000  # espeak_AUDIO_OUTPUT, espeakINITIALIZE_DONT_EXIT, per callback
_UTF8 = 1  # espeakCHARS_UTF8, and neither espeakSSML nor espeakPHONEMES: whatever the text holds is spoken, not obeyed
_RATE, _VOLUME, _PITCH = 1, 2, 3  # espeak_PARAMETER
_HEADROOM = 75  # of a volume of 100, at which the loudest common voices (en-gb-scotland+f2) touch the end of the scale
_FIRST_VOICE = b"gmw/en-US"  # the first voice takes 50 ms, for the list of all voices: once, before there are children
_NO_VOICE, _TOO_LONG, _REFUSED = 3, 4, 5
_CAUSES = {
    _NO_VOICE: "the voice could not be loaded",
    _TOO_LONG: "the speech is too long",
    _REFUSED: "espeak-ng refused the text",
}

Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p)


class Speaker:
    """espeak-ng as it was loaded, and the memory in which children leave their samples, behind 8 bytes of length."""

    def __init__(self, library: str, data: str, most_bytes: int) -> None:
        self.lib = ctypes.CDLL(library)
        self.rate: int = self.lib.espeak_Initialize(_SYNCHRONOUS, _BUFFER_MS, data.encode(), _NO_EXIT)
        if self.rate <= 0 or self.lib.espeak_SetVoiceByName(_FIRST_VOICE):
            raise OSError(f"{library}: espeak-ng does not start with the data in {data}")
        self.most, self.used, self.full = most_bytes, 0, False
        self.memory = mmap.mmap(-1, 8 + most_bytes)
        self.address = ctypes.addressof(ctypes.c_char.from_buffer(self.memory))
        self.callback = Callback(self._take)
        self.lib.espeak_SetSynthCallback(self.callback)

    def _take(self, samples: int | None, count: int, events: int | None) -> int:
        size = 2 * count
        if not samples or size <= 0:
            return 0
        if self.used + size > self.most:
            self.full = True
            return 1  # ends the synthesis
        ctypes.memmove(self.address + 8 + self.used, samples, size)
        self.used += size
        return 0

    def speak(self, request: dict[str, Any]) -> memoryview | str:
        """The samples, valid until the next call, or why there are none."""
        pid = os.fork()
        if not pid:
            status = 1
            try:
                status = self._child(request)
            finally:
                os._exit(status)
        status = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
        if status == -signal.SIGALRM:
            return f"it took over {request['seconds']} s"
        if status:
            return _CAUSES.get(status, f"espeak-ng ended with {status}")
        (used,) = struct.unpack_from("<q", self.memory)
        return memoryview(self.memory)[8 : 8 + used]

    def _child(self, request: dict[str, Any]) -> int:
        signal.setitimer(signal.ITIMER_REAL, request["seconds"])  # SIGALRM ends the child, in the library's loops too
        if self.lib.espeak_SetVoiceByName(request["voice"].encode()):
            return _NO_VOICE
        for parameter, value in ((_RATE, request["rate"]), (_VOLUME, _HEADROOM), (_PITCH, request["pitch"])):
            self.lib.espeak_SetParameter(parameter, value, 0)
        self.lib.espeak_ng_SetRandSeed(ctypes.c_long(1))  # else the breath of female voices and whispers is the clock's
        text = request["text"].encode() + b"\0"
        refused = self.lib.espeak_Synth(text, ctypes.c_size_t(len(text)), 0, 0, 0, _UTF8, None, None)
        struct.pack_into("<q", self.memory, 0, self.used)
        return _TOO_LONG if self.full else _REFUSED if refused else 0


def _read(pipe: BinaryIO) -> dict[str, Any] | None:
    head = pipe.read(4)
    if len(head) < 4:
        return None
    body = pipe.read(int.from_bytes(head, "big"))
    request: dict[str, Any] = json.loads(body)
    return request


def _write(pipe: BinaryIO, message: dict[str, Any], samples: memoryview | bytes = b"") -> None:
    body = json.dumps(message).encode()
    pipe.write(len(body).to_bytes(4, "big") + body)
    pipe.write(samples)
    pipe.flush()


def main(library: str, data: str, most_bytes: str) -> None:
    answers = os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)  # what the library prints is no answer
    try:
        speaker = Speaker(library, data, int(most_bytes))
    except (OSError, ValueError) as error:
        _write(answers, {"error": str(error)})
        return
    signal.signal(signal.SIGALRM, signal.SIG_DFL)
    signal.pthread_sigmask(signal.SIG_SETMASK, ())  # whoever started this may have held signals back
    gc.freeze()
    gc.disable()  # a collection in a child would copy every page
    _write(answers, {"rate": speaker.rate})
    while (request := _read(sys.stdin.buffer)) is not None:
        found = speaker.speak(request)
        if isinstance(found, str):
            _write(answers, {"error": found})
        else:
            _write(answers, {"bytes": len(found)}, found)


if __name__ == "__main__":
    main(*sys.argv[1:])
