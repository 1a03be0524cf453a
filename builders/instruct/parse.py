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
from dataclasses import dataclass
from itertools import pairwise
from typing import Literal

from builders.instruct.turns import Turn

Kind = Literal["conversation", "detail", "complex"]
Role = Literal["question", "answer"]

_STYLES: tuple[tuple[str, str], ...] = (
    ("question questions", "answer answers"),
    ("question questions", "réponse réponses reponse"),
    ("pregunta preguntas", "respuesta respuestas"),
    ("frage fragen", "antwort antworten"),
    ("pergunta perguntas", "resposta respostas"),
    ("domanda domande", "risposta risposte"),
    ("问题 问 問題 問", "答案 答 回答"),
    ("user human", "assistant gpt ai"),
    ("q", "a"),
)
"""How the two parts are labelled, the likeliest first; only one style counts in one answer."""
_ROLES: tuple[dict[str, Role], ...] = tuple(
    dict[str, Role](dict.fromkeys(asked.split(), "question")) | dict.fromkeys(told.split(), "answer")
    for asked, told in _STYLES
)
_WORDS = frozenset(word for roles in _ROLES for word in roles)
_SHORT = frozenset("user human assistant gpt ai q a 问 問 答".split())
"""Alone on a line and without a sign or number they are no labels."""

_LABEL = re.compile(
    r"""(?P<lead>[\s>\#\-+•=]*+ (?:[*]\s++)?+ (?:\d{1,3}[.)]\s*+)?+   # quoted, a heading, a bullet, numbered
        (?P<open>[*_]{0,4}+) \s*+ (?:\d{1,3}[.)]\s*+)?+ [\[【(]?+)
        (?P<word>[^\W\d_]{1,10}+) (?![^\W\d_])
        (?P<near>[\s*_]*+) (?:[\#(]?+\s*+(?P<number>\d{1,3}+))?+
        (?P<far>[\s*_)\]】]*+) (?P<sign>[:：.]|[-–—](?=\s))?+
        (?P<rest>.*)""",
    re.VERBOSE,
)
_INLINE = re.compile(
    r"(?<!\S)[*_\[]{0,4}+(?P<word>[^\W\d_]{1,10}+)(?![^\W\d_])"
    r"[\s*_]{0,4}+(?:#?\d{1,3}+)?+[\s*_\]]{0,4}+(?:[:：]|(?<=\d)[.)](?=\s))[*_]{0,4}+"
)
_LISTED = re.compile(r"^[ \t]*+\d{1,3}[.)].*[?？][ \t]*$", re.MULTILINE)
_THOUGHT = re.compile(r"(</?think(?:ing)?>)", re.IGNORECASE)
_LINE_END = re.compile(r"\r\n?|[\n\x85\u2028\u2029]")
_UNSEEN = "\u200b\u2060\ufeff"
_MAY_PRINT = re.compile(r"[^\s\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe0f\ufeff]")

_DESCRIPTION = re.compile(
    r"[\s>#*_]*+(?:(?:the|detailed|full|image|scene|photo|picture)\s){0,3}(?:description|descripción|beschreibung|描述)"
    r"(?:\sof\sthe\s(?:image|photo|photograph|picture|scene))?[\s*_]*+(?:[:：][*_]*+(?P<rest>.*)|$)",
    re.IGNORECASE,
)
_HEADING = re.compile(r"\s{0,3}#{1,6}\s|\s{0,3}\*\*[^*]{1,100}\*\*\s{0,9}$")
_SURE = re.compile(
    r"\s*+(?:certainly|sure(?: thing)?|of course|absolutely|okay|ok|alright|gladly|no problem|understood)"
    r"(?:\s{0,3}[!.]+\s*+|\s{0,3}[,:]\s*+(?=here\b|below\b)|\s*+$)",
    re.IGNORECASE,
)
_HERE = re.compile(
    r"\s*+(?:here(?:['’]s| is)|below is|the following is)\s[^:\n]{0,120}?"
    r"\b(?:description|account|overview|depiction|breakdown|what i see|what can be seen)\b[^:.\n]{0,120}"
    r"(?:[:：]\s*+|\.?\s*+$)",
    re.IGNORECASE,
)
_OFFER = re.compile(
    r"[\s*_(\[]*+(?:please )?(?:just )?(?:"
    r"let me know|feel free|do(?:n't| not) hesitate"
    r"|(?:i )?hope (?:this|that|these|it|the (?:conversation|description))\b"
    r"|i(?:'d| would| am|'m)(?: be)?(?: more than)? (?:happy|glad) to|happy to (?:help|assist|adjust)"
    r"|if you(?:'d like| (?:need|want|would like|require|wish|have (?:any|more|further|other))\b)"
    r"|would you like (?:me|any|more)|do you (?:want|need|have any)|is there (?:anything|any other)"
    r"|thank you for|thanks for|end of (?:the )?(?:conversation|description|dialogue|answer)"
    r"|note\b[^\n]{0,200}?\b(?:conversation|dialogue|description|questions|answers|generated|notes|captions)\b"
    r"|(?:this|the)(?: above)? (?:conversation|dialogue|description|response) (?:above |should |has been )?(?:is|was|"
    r"covers|includes|follows|adheres|aims|provides|captures|meets|contains|uses|generated|written|designed|based)\b"
    r"|these (?:questions|answers) (?:are|cover|aim|should|were|follow)\b)",
    re.IGNORECASE,
)
"""Sentences that speak to the one who ordered the answer, not of the image."""
_POLITE = 20
"""Of such sentences, paragraphs or covers at most so many are taken away: an answer with more is none."""


class Unreadable(Exception):
    """An answer without turns that could be told for certain. `reason` is counted."""

    def __init__(self, reason: str, detail: str) -> None:
        super().__init__(f"{reason}: {detail}")
        self.reason, self.detail = reason, detail


@dataclass(frozen=True)
class _Label:
    """`word` as it stands in _STYLES; `open` is emphasis that began before the label and has not ended."""

    word: str
    rest: str
    open: str
    quoted: bool


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


def visible(text: str) -> bool:
    """Whether anything of it would show: neither blanks nor zero-width characters."""
    return _MAY_PRINT.search(text) is not None


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
    labels, roles = _labelled(lines)
    first = next((at for at, label in enumerate(labels) if label), len(lines))
    fenced = sum(_fence(line) is not None for line in lines[:first]) % 2 == 1
    ruled = _rules_separate(lines, labels)
    parts = list[tuple[Role, str]]()
    label, held, code = None, list[str](), False
    for at in range(first, len(lines)):
        line, fence, found = lines[at], _fence(lines[at]), labels[at]
        if found:
            if code:
                raise Unreadable("labels_mixed", "a label stands in a code block")
            _close(parts, roles, label, held)
            label, held = found, [found.rest]
        elif label and not code and (_is_break(line) or (ruled and _is_rule(line)) or (fenced and fence == "")):
            _close(parts, roles, label, held)
            label, held, fenced = None, [], fenced and fence is None
        elif not label and fence is not None:
            fenced = not fenced
        else:
            code = code if fence is None else not code or fence != ""
            held.append(line)
    if code and _fence(held[-1]) is not None:
        held.pop()  # it closes nothing
    _close(parts, roles, label, held)
    if label and roles[label.word] == "answer":
        parts[-1] = "answer", "\n".join(_without_courtesy(parts[-1][1].split("\n"))).strip()
    return parts


def _close(parts: list[tuple[Role, str]], roles: dict[str, Role], label: _Label | None, held: list[str]) -> None:
    """Adds what was held under a label. Under none it may only be polite."""
    if not label:
        rest = "\n".join(line for line in held if not _is_rule(line) and not _is_break(line))
        if visible(_without_offers(rest)):
            raise Unreadable("labels_mixed", f"a text without a label after part {len(parts)}")
        return
    if label.quoted and all(line.lstrip().startswith(">") for line in held[1:] if line.strip()):
        held = held[:1] + [line.lstrip()[1:].removeprefix(" ") for line in held[1:]]
    while held and (not held[-1].strip() or _is_rule(held[-1])):
        held.pop()
    text = "\n".join(held).strip()
    if label.open and text.count(label.open) % 2:
        text = text.removesuffix(label.open) if text.endswith(label.open) else text.replace(label.open, "", 1)
    parts.append((roles[label.word], text.strip()))


def _labelled(lines: Sequence[str]) -> tuple[list[_Label | None], dict[str, Role]]:
    """The label of each line, of one style alone, and the style: the first one of which both labels are there, else the
    first of which one is."""
    labels = [_label(line) for line in lines]
    words = {label.word for label in labels if label}
    there = [roles for roles in _ROLES if not words.isdisjoint(roles)]
    both = (roles for roles in there if len({roles[word] for word in words if word in roles}) == 2)
    roles = next(both, there[0] if there else {})
    return [label if label and label.word in roles else None for label in labels], roles


def _label(line: str) -> _Label | None:
    found = _LABEL.match(line)
    word = found["word"].lower() if found else ""
    if not found or word not in _WORDS:
        return None
    rest, sign, number = found["rest"], found["sign"], found["number"]
    between = found["near"] + found["far"]
    if sign and sign not in ":：" and ")" in between:
        rest, sign = sign + rest, None
    if not rest.strip(" \t=*_#]】") and sign != ":" and sign != "：":
        marked = number or found["open"] or any(one in found["lead"] for one in "#[【=")
        certain, rest = bool(marked) or (word not in _SHORT and not sign), ""
    elif sign is None:
        certain = bool(number) and ")" in found["far"]
    elif sign == ".":
        certain = bool(number) and rest[0] in " \t*_"
    elif sign in ":：":
        certain = True
    else:
        certain = bool(number) and found["far"].endswith(" ")
    if not certain:
        return None
    close = found["open"][::-1]
    if close and (close in between or rest.startswith(close)):
        rest, close = rest.removeprefix(close) if close not in between else rest, ""
    if rest.rstrip().endswith("==="):
        rest = rest.rstrip(" \t=")
    return _Label(word, rest, close, ">" in found["lead"])


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
    roles = next((roles for roles in _ROLES if words and roles.get(words[0]) == "answer"), {})
    marks = [one for one, word in zip(found, words, strict=True) if word in roles]
    ends = [*(one.start() for one in marks), len(text)]
    pieces: list[tuple[Role, str]] = [("question", text[: ends[0]].strip())]
    for mark, end in zip(marks, ends[1:], strict=True):
        pieces.append((roles[mark["word"].lower()], text[mark.end() : end].strip()))
    return pieces


def _description(lines: list[str], labelled: bool = False) -> str:
    """The text alone: no preamble, heading, label or trailing offer, no quotes or code fence around all of it."""
    for _ in range(_POLITE):
        before, lines = lines, _uncovered(_without_courtesy(_trimmed(lines)))
        if lines == before:
            break
    labels, roles = _labelled(lines)
    told = [roles[label.word] for label in labels if label]
    if labelled and lines and labels[0]:
        raise Unreadable("labels_mixed", "a label behind a label")
    if lines and labels[0] and told == ["answer"]:
        return _description([labels[0].rest.removesuffix(labels[0].open or "\n"), *lines[1:]], labelled=True)
    if lines and labels[0]:
        turns = _turns(_parts(lines))
        if len(turns) > 1:
            raise Unreadable("several_questions", f"{len(turns)} where a description is asked for")
        return _description(turns[0].answer.split("\n"), labelled=True)
    if len(set(told)) == 2:
        raise Unreadable("labels_mixed", "a description with questions and answers in it")
    text = _without_offers("\n".join(line for line in lines if not _is_break(line))).strip()
    for quotes in ('""', "“”", "«»", "„“"):
        inner = text[1:-1]
        if len(text) > 1 and text[0] + text[-1] == quotes and not set(quotes) & set(inner):
            text = inner.strip()
    if not visible(text):
        raise Unreadable("no_answer", "there is no text")
    return text


def _trimmed(lines: list[str]) -> list[str]:
    """Without empty lines, rules and separators at both ends."""
    kept = [at for at, line in enumerate(lines) if line.strip() and not _is_rule(line) and not _is_break(line)]
    return lines[kept[0] : kept[-1] + 1] if kept else []


def _uncovered(lines: list[str]) -> list[str]:
    """Without one cover, if there is one: a fence around all, a preamble, a label or a heading."""
    if not lines:
        return lines
    first, *rest = lines
    inner_fence = any(_fence(line) is not None for line in rest[:-1])
    if _fence(first) is not None and _fence(lines[-1]) == "" and not inner_fence:
        return rest[:-1]
    if found := _SURE.match(first) or _HERE.match(first):
        return [first[found.end() :], *rest]
    if found := _DESCRIPTION.match(first):
        return [found["rest"] or "", *rest]
    return rest if rest and _HEADING.match(first) and not _label(first) else lines


def _fence(line: str) -> str | None:
    """What a code fence says of its content, "" if nothing; None of any other line."""
    line = line.strip(" \t>")
    if not line.startswith(("```", "~~~")):
        return None
    told = line.lstrip(line[0]).strip()
    return None if "`" in told or len(told) > 40 else told


def _is_break(line: str) -> bool:
    return line.count("=") > 1 and not line.strip("=*_\\> \t")


def _is_rule(line: str) -> bool:
    marks = "".join(line.split())
    return len(marks) > 2 and marks[0] in "-*_—" and marks == marks[0] * len(marks)


def _rules_separate(lines: Sequence[str], labels: Sequence[_Label | None]) -> bool:
    """Whether an answer without any `===` has a rule right before a label."""
    if any(_is_break(line) for line in lines):
        return False
    shown = [at for at, line in enumerate(lines) if line.strip()]
    after_label = False
    for at, following in pairwise(shown):
        after_label = after_label or labels[at] is not None
        if after_label and _is_rule(lines[at]) and labels[following]:
            return True
    return False


def _without_courtesy(lines: list[str]) -> list[str]:
    """Without the paragraphs at the end that are all polite; one paragraph always stays."""
    end = len(lines)
    for _ in range(_POLITE):
        start = end
        while start and lines[start - 1].strip() and not _is_rule(lines[start - 1]) and _fence(lines[start - 1]) != "":
            start -= 1
        alone = not any(line.strip() for line in lines[:start])
        if alone or start == end or visible(_without_offers("\n".join(lines[start:end]))):
            break
        end = start
        while not lines[end - 1].strip() or _is_rule(lines[end - 1]):
            end -= 1
    return lines[:end]


def _without_offers(text: str) -> str:
    """Without the polite sentences at the end."""
    text = text.rstrip()
    for _ in range(_POLITE):
        body = text.rstrip(".!?…。！？)*_\"'” \t\n")
        start = max(body.rfind(sign) for sign in ".!?\n。！？") + 1
        if not _OFFER.match(text[start:].lstrip().replace("’", "'")):
            break
        text = text[:start].rstrip()
    return text
