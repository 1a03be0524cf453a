"""What a model says beside its answer, to the one who ordered it; and the lines that only divide a text."""

from __future__ import annotations

import re

_MAY_PRINT = re.compile(r"[^\s\u00ad\u061c\u115f\u1160\u180e\u200b-\u200f\u202a-\u202e\u2060-\u206f\u3164\ufe0f\ufeff]")

SURE = re.compile(
    r"\s*+(?:certainly|sure(?: thing)?|of course|absolutely|okay|ok|alright|gladly|no problem|understood)"
    r"(?:\s{0,3}[!.]+\s*+|\s{0,3}[,:]\s*+(?=here\b|below\b)|\s*+$)",
    re.IGNORECASE,
)
HERE = re.compile(
    r"\s*+(?:here(?:['’]s| is)|below is|the following is)\s[^:\n]{0,120}?"
    r"\b(?:description|account|overview|depiction|breakdown|what i see|what can be seen)\b[^:.\n]{0,120}"
    r"(?:[:：]\s*+|\.?\s*+$)",
    re.IGNORECASE,
)
"""How a model begins before it describes: "Certainly!", "Here is a description:"."""
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
POLITE = 20
"""Of such sentences, paragraphs or covers at most so many are taken away: an answer with more is none."""


def visible(text: str) -> bool:
    """Whether anything of it would show: neither blanks nor zero-width characters."""
    return _MAY_PRINT.search(text) is not None


def fence_of(line: str) -> str | None:
    """What a code fence says of its content, "" if nothing; None of any other line."""
    line = line.strip(" \t>")
    if not line.startswith(("```", "~~~")):
        return None
    told = line.lstrip(line[0]).strip()
    return None if "`" in told or len(told) > 40 else told


def is_break(line: str) -> bool:
    """Whether a line is `===` or the like, which divides the parts of an answer."""
    return line.count("=") > 1 and not line.strip("=*_\\> \t")


def is_rule(line: str) -> bool:
    """Whether a line is a rule of Markdown: `---`, `***` or the like."""
    marks = "".join(line.split())
    return len(marks) > 2 and marks[0] in "-*_—" and marks == marks[0] * len(marks)


def without_courtesy(lines: list[str]) -> list[str]:
    """Without the paragraphs at the end that are all polite; one paragraph always stays."""
    end = len(lines)
    for _ in range(POLITE):
        start = end
        while start and lines[start - 1].strip() and not is_rule(lines[start - 1]) and fence_of(lines[start - 1]) != "":
            start -= 1
        alone = not any(line.strip() for line in lines[:start])
        if alone or start == end or visible(without_offers("\n".join(lines[start:end]))):
            break
        end = start
        while not lines[end - 1].strip() or is_rule(lines[end - 1]):
            end -= 1
    return lines[:end]


def without_offers(text: str) -> str:
    """Without the polite sentences at the end."""
    text = text.rstrip()
    for _ in range(POLITE):
        body = text.rstrip(".!?…。！？)*_\"'” \t\n")
        start = max(body.rfind(sign) for sign in ".!?\n。！？") + 1
        if not _OFFER.match(text[start:].lstrip().replace("’", "'")):
            break
        text = text[:start].rstrip()
    return text
