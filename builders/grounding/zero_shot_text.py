"""Captions and chunks as a detector's text encoder takes them: token ids, cut where its limit asks for several passes.

No chunk is lost: each stands in exactly one pass.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from builders.grounding.expressions import Offsets

QUERIES = 64
"""Chunks a pass, at most, of a model that scores each by itself: what a batch holds must have a bound."""


@dataclass(frozen=True)
class Passage:
    """One pass of a model that reads a caption: `ids` of (a stretch of) it, and which of them each span owns.

    `spans`: positions of the spans that this pass scores; `places`: [first, end) of their tokens in `ids`.
    """

    spans: tuple[int, ...]
    ids: tuple[int, ...]
    places: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Questions:
    """One pass of a model that is asked: a query's ids for each of `spans`, and for OmDet-Turbo its task's."""

    spans: tuple[int, ...]
    ids: tuple[tuple[int, ...], ...]
    task: tuple[int, ...] = ()


def lowered(text: str) -> str:
    """Lower case, character by character: every offset stays (the lower case of "İ" has two characters)."""
    return "".join(lower if len(lower := c.lower()) == 1 else c for c in text)


def passages(tokenizer: Any, caption: str, spans: Sequence[Offsets], limit: int) -> list[Passage]:
    """A caption as Grounding DINO was trained to read it: lower-cased, with a full stop at its end.

    `limit`: tokens of a pass. A longer caption is read in several stretches, each with as much around its spans as
    there is room for. A span without a token, of control characters say, is in no pass: nothing can be found for it.
    """
    told = tokenizer(lowered(caption), add_special_tokens=False, return_offsets_mapping=True)
    ids, offsets = told["input_ids"], told["offset_mapping"]
    stop, question = tokenizer.convert_tokens_to_ids([".", "?"])
    room = limit - 3  # beside [CLS], the full stop and [SEP]
    places = {i: place for i, span in enumerate(spans) if (place := _tokens_in(offsets, span))}
    places = {i: (max(first, end - room), end) for i, (first, end) in places.items()}  # its head noun stands last
    found = []
    for first, end, inside in stretches(places, len(ids), room):
        body = ids[first:end]
        closing = () if body[-1] in (stop, question) else (stop,)
        whole = (tokenizer.cls_token_id, *body, *closing, tokenizer.sep_token_id)
        owned = tuple((places[i][0] - first + 1, places[i][1] - first + 1) for i in inside)
        found.append(Passage(tuple(inside), whole, owned))
    return found


def _tokens_in(offsets: Sequence[Offsets], span: Offsets) -> tuple[int, int] | None:
    """[first, end) of the tokens that share a character with a span."""
    inside = [i for i, (start, end) in enumerate(offsets) if start < span[1] and end > span[0] and end > start]
    return (inside[0], inside[-1] + 1) if inside else None


def stretches(places: dict[int, tuple[int, int]], total: int, room: int) -> list[tuple[int, int, list[int]]]:
    """Cuts `total` tokens into [first, end) of at most `room`, such that each place lies whole in the one that owns it.

    `places`: name -> [first, end), at most `room` long. Returns the names with their stretch; stretches may overlap.
    """
    if total <= room:
        return [(0, total, list(places))] if places else []
    left = sorted(places, key=lambda name: places[name])
    found = []
    while left:
        begin = places[left[0]][0]
        inside = [name for name in left if places[name][1] <= begin + room]
        left = [name for name in left if places[name][1] > begin + room]
        spare = room - (max(places[name][1] for name in inside) - begin)
        first = min(max(0, begin - spare // 2), total - room)
        found.append((first, first + room, inside))
    return found


def questions(tokenizer: Any, caption: str, spans: Sequence[Offsets], limit: int) -> list[Questions]:
    """Each chunk as a query of at most `limit` tokens; of a longer one the last, where its head noun stands."""
    ids = [_query(tokenizer, caption[start:end], limit) for start, end in spans]
    cuts = range(0, len(ids), QUERIES)
    return [Questions(tuple(range(cut, min(cut + QUERIES, len(ids)))), tuple(ids[cut : cut + QUERIES])) for cut in cuts]


def tasks(tokenizer: Any, caption: str, spans: Sequence[Offsets], limit: int) -> list[Questions]:
    """Each chunk as a query, and the task that names all queries of a pass: "Detect a dog, a cat.", as the processor of
    OmDet-Turbo writes it. The task must fit into `limit` tokens, or there is another pass."""
    detect, comma, stop = (_plain(tokenizer, text) for text in ("Detect", ",", "."))
    begin, end = tokenizer.bos_token_id, tokenizer.eos_token_id
    room = limit - 2 - len(detect) - len(stop)
    chunks = [_plain(tokenizer, caption[start:end_])[-room:] for start, end_ in spans]
    found: list[Questions] = []
    first = 0
    while first < len(chunks):
        last, used = first + 1, len(chunks[first])
        while last < len(chunks) and used + len(comma) + len(chunks[last]) <= room:
            used += len(comma) + len(chunks[last])
            last += 1
        named = [token for chunk in chunks[first:last] for token in (*comma, *chunk)][len(comma) :]
        classes = tuple((begin, *chunk, end) for chunk in chunks[first:last])
        found.append(Questions(tuple(range(first, last)), classes, (begin, *detect, *named, *stop, end)))
        first = last
    return found


def _query(tokenizer: Any, text: str, limit: int) -> tuple[int, ...]:
    return tokenizer.bos_token_id, *_plain(tokenizer, text)[-(limit - 2) :], tokenizer.eos_token_id


def _plain(tokenizer: Any, text: str) -> list[int]:
    ids: list[int] = tokenizer(text, add_special_tokens=False)["input_ids"]
    return ids
