"""Answers of a language model to turns.

The format that is asked for is LLaVA's: `Question:` and `Answer:` on lines of their own, `===` between the parts. What
models really write besides is read as well: bold, numbered, quoted or bracketed labels, `Q:`, labels of other
languages, both on one line, a code fence around everything, polite sentences before and after, a `<think>` block. What
cannot be read for certain is refused. Every pattern takes time linear in the text: no two neighbouring quantifiers
match the same character, unless the first one gives nothing back or both are bounded.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import pairwise
from typing import Literal

from builders.instruct.courtesy import (
    HERE,
    POLITE,
    SURE,
    fence_of,
    is_break,
    is_rule,
    visible,
    without_courtesy,
    without_offers,
)
from builders.instruct.labels import ROLES, Label, Role, label_of, labelled
from builders.instruct.turns import Turn

Kind = Literal["conversation", "detail", "complex"]

_INLINE = re.compile(
    r"(?<!\S)[*_\[]{0,4}+(?P<word>[^\W\d_]{1,10}+)(?![^\W\d_])"
    r"[\s*_]{0,4}+(?:#?\d{1,3}+)?+[\s*_\]]{0,4}+(?:[:：]|(?<=\d)[.)](?=\s))[*_]{0,4}+"
)
_LISTED = re.compile(r"^[ \t]*+\d{1,3}[.)].*[?？][ \t]*$", re.MULTILINE)
_THOUGHT = re.compile(r"(</?think(?:ing)?>)", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n?|[\n\x85\u2028\u2029]")
_UNSEEN = "\u200b\u2060\ufeff"

_DESCRIPTION = re.compile(
    r"[\s>#*_]*+(?:(?:the|detailed|full|image|scene|photo|picture)\s){0,3}(?:description|descripción|beschreibung|描述)"
    r"(?:\sof\sthe\s(?:image|photo|photograph|picture|scene))?[\s*_]*+(?:[:：][*_]*+(?P<rest>.*)|$)",
    re.IGNORECASE,
)
_HEADING = re.compile(r"\s{0,3}#{1,6}\s|\s{0,3}\*\*[^*]{1,100}\*\*\s{0,9}$")


class Unreadable(Exception):
    """An answer without turns that could be told for certain. `reason` is counted."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


def parse_turns(text: str, kind: Kind) -> list[Turn]:
    """The turns of an answer of a kind; of `detail` one, with the question "", since the answer stands alone.

    A question at the end without an answer, or with an empty one, is dropped, as LLaVA's authors did. Text behind `===`
    or behind the end of a code fence around the turns belongs to no answer: polite sentences are dropped, anything else
    is refused. `---` on a line of its own is text, a rule inside an answer; it is read like `===` only in an answer
    without any `===` in which one stands right before a label. Raises Unreadable.
    """
    lines = _lines(text)
    turns = [Turn("", _description(lines))] if kind == "detail" else _turns(_parts(lines))
    if kind == "complex" and len(turns) > 1:
        raise Unreadable("several_questions", f"{len(turns)} where one is asked for")
    return turns


def _lines(text: str) -> list[str]:
    return "\n".join(line.strip(_UNSEEN) for line in _LINE_END.split(_spoken(text))).strip().split("\n")


def _spoken(text: str) -> str:
    """Without what a model thinks aloud. A `</think>` alone ends a thought that began in the prompt; a `<think>` that
    never ends is text, unless nothing stands before it."""
    first, *pieces = _THOUGHT.split(text)
    kept, thought = [first], list[str]()
    for tag, said in zip(pieces[::2], pieces[1::2], strict=True):
        if not tag.startswith("</"):
            thought += [tag, said]
            continue
        if not thought:
            kept.clear()
        thought.clear()
        kept.append(said)
    if thought and visible("".join(kept)):
        kept += thought
    return "".join(kept)


def _turns(parts: list[tuple[Role, str]]) -> list[Turn]:
    parts = _on_one_line(parts)
    if parts and parts[-1][0] == "answer" and not visible(parts[-1][1]):
        parts.pop()
    if parts and parts[-1][0] == "question":
        parts.pop()
    turns = []
    for at in range(0, len(parts), 2):
        pair = parts[at : at + 2]
        if [role for role, _ in pair] != ["question", "answer"]:
            raise Unreadable("labels_mixed", f"part {at + 1}: questions and answers do not take turns")
        (_, question), (_, answer) = pair
        if not visible(question):
            raise Unreadable("no_question", f"part {at + 1} is an answer to nothing")
        if len(_LISTED.findall(question)) > 1:
            raise Unreadable("labels_mixed", f"part {at + 1} is a list of questions")
        turns.append(Turn(question, answer))
    if not turns:
        raise Unreadable("no_answer", "no question with an answer")
    return turns


def _parts(lines: Sequence[str]) -> list[tuple[Role, str]]:
    """Each part's label and text; what stands before the first label is left out."""
    labels, roles = labelled(lines)
    first = next((at for at, label in enumerate(labels) if label), len(lines))
    fenced = sum(fence_of(line) is not None for line in lines[:first]) % 2 == 1
    ruled = _rules_separate(lines, labels)
    parts = list[tuple[Role, str]]()
    label, held, code = None, list[str](), False
    for at in range(first, len(lines)):
        line, fence, found = lines[at], fence_of(lines[at]), labels[at]
        if found:
            if code:
                raise Unreadable("labels_mixed", "a label stands in a code block")
            _close(parts, roles, label, held)
            label, held = found, [found.rest]
        elif label and not code and (is_break(line) or (ruled and is_rule(line)) or (fenced and fence == "")):
            _close(parts, roles, label, held)
            label, held, fenced = None, [], fenced and fence is None
        elif not label and fence is not None:
            fenced = not fenced
        else:
            code = code if fence is None else not code or fence != ""
            held.append(line)
    if code and fence_of(held[-1]) is not None:
        held.pop()  # it closes nothing
    _close(parts, roles, label, held)
    if label and roles[label.word] == "answer":
        parts[-1] = "answer", "\n".join(without_courtesy(parts[-1][1].split("\n"))).strip()
    return parts


def _close(parts: list[tuple[Role, str]], roles: dict[str, Role], label: Label | None, held: list[str]) -> None:
    """Adds what was held under a label. Under none it may only be polite."""
    if not label:
        rest = "\n".join(line for line in held if not is_rule(line) and not is_break(line))
        if visible(without_offers(rest)):
            raise Unreadable("labels_mixed", f"a text without a label after part {len(parts)}")
        return
    if label.quoted and all(line.lstrip().startswith(">") for line in held[1:] if line.strip()):
        held = held[:1] + [line.lstrip()[1:].removeprefix(" ") for line in held[1:]]
    while held and (not held[-1].strip() or is_rule(held[-1])):
        held.pop()
    text = "\n".join(held).strip()
    if label.open and text.count(label.open) % 2:
        text = text.removesuffix(label.open) if text.endswith(label.open) else text.replace(label.open, "", 1)
    parts.append((roles[label.word], text.strip()))


def _on_one_line(parts: list[tuple[Role, str]]) -> list[tuple[Role, str]]:
    """Questions that no answer follows, split where a capitalised label stands inside them."""
    split = list[tuple[Role, str]]()
    for at, (role, text) in enumerate(parts):
        followed = at + 1 < len(parts) and parts[at + 1][0] == "answer"
        split += [(role, text)] if role == "answer" or followed else _inside(text)
    return split


def _inside(text: str) -> list[tuple[Role, str]]:
    found = [one for one in _INLINE.finditer(text) if one["word"][0] == one["word"][0].upper()]
    words = [one["word"].lower() for one in found]
    roles = next((roles for roles in ROLES if words and roles.get(words[0]) == "answer"), {})
    marks = [one for one, word in zip(found, words, strict=True) if word in roles]
    ends = [*(one.start() for one in marks), len(text)]
    pieces: list[tuple[Role, str]] = [("question", text[: ends[0]].strip())]
    for mark, end in zip(marks, ends[1:], strict=True):
        pieces.append((roles[mark["word"].lower()], text[mark.end() : end].strip()))
    return pieces


def _description(lines: list[str], again: bool = False) -> str:
    """The text alone: no preamble, heading, label or trailing offer, no quotes or code fence around all of it."""
    for _ in range(POLITE):
        before, lines = lines, _uncovered(without_courtesy(_trimmed(lines)))
        if lines == before:
            break
    labels, roles = labelled(lines)
    told = [roles[label.word] for label in labels if label]
    if again and lines and labels[0]:
        raise Unreadable("labels_mixed", "a label behind a label")
    if lines and labels[0] and told == ["answer"]:
        return _description([labels[0].rest.removesuffix(labels[0].open or "\n"), *lines[1:]], again=True)
    if lines and labels[0]:
        turns = _turns(_parts(lines))
        if len(turns) > 1:
            raise Unreadable("several_questions", f"{len(turns)} where a description is asked for")
        return _description(turns[0].answer.split("\n"), again=True)
    if len(set(told)) == 2:
        raise Unreadable("labels_mixed", "a description with questions and answers in it")
    text = without_offers("\n".join(line for line in lines if not is_break(line))).strip()
    for quotes in ('""', "“”", "«»", "„“"):
        inner = text[1:-1]
        if len(text) > 1 and text[0] + text[-1] == quotes and not set(quotes) & set(inner):
            text = inner.strip()
    if not visible(text):
        raise Unreadable("no_answer", "there is no text")
    return text


def _trimmed(lines: list[str]) -> list[str]:
    """Without empty lines, rules and separators at both ends."""
    kept = [at for at, line in enumerate(lines) if line.strip() and not is_rule(line) and not is_break(line)]
    return lines[kept[0] : kept[-1] + 1] if kept else []


def _uncovered(lines: list[str]) -> list[str]:
    """Without one cover, if there is one: a fence around all, a preamble, a label or a heading."""
    if not lines:
        return lines
    first, *rest = lines
    inner_fence = any(fence_of(line) is not None for line in rest[:-1])
    if fence_of(first) is not None and fence_of(lines[-1]) == "" and not inner_fence:
        return rest[:-1]
    if found := SURE.match(first) or HERE.match(first):
        return [first[found.end() :], *rest]
    if found := _DESCRIPTION.match(first):
        return [found["rest"] or "", *rest]
    return rest if rest and _HEADING.match(first) and not label_of(first) else lines


def _rules_separate(lines: Sequence[str], labels: Sequence[Label | None]) -> bool:
    """Whether an answer without any `===` has a rule right before a label."""
    if any(is_break(line) for line in lines):
        return False
    shown = [at for at, line in enumerate(lines) if line.strip()]
    after_label = False
    for at, following in pairwise(shown):
        after_label = after_label or labels[at] is not None
        if after_label and is_rule(lines[at]) and labels[following]:
            return True
    return False
