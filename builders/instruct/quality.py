"""What an answer must not be, as a list that can be read and added to. The first rule that is broken is the reason."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass

from builders.instruct.courtesy import visible
from builders.instruct.turns import IMAGE, Turn

_PLAIN = str.maketrans(
    dict.fromkeys("’‘ʼ´`＇′", "'") | dict.fromkeys("“”„«»＂", '"') | dict.fromkeys("\u200b\u2060\ufeff", "")
)
_QUOTED = re.compile(r'"[^"\n]*+"')
_SENTENCE = re.compile(r"[^.!?。！？\n]++")

_MACHINE = r"(?:[\w-]{1,20} ){0,3}?(?:ai|artificial intelligence|language model|llm|chatbot)\b"
_SPEAKS = (
    r"(?: (?:language )?(?:model|assistant|system|program))?(?:[,:;]| (?:i|and|that|who|without|developed|trained)\b)"
)
_CANNOT = (
    r"(?:i (?:(?:also |really |simply |just )?(?:can ?not|can't|could not|couldn't)"
    r"|(?:won't|will not|would not) be able to)"
    r"|i(?: am|'m) (?:unable to|not able to|not allowed to|not permitted to))(?: \w{1,12}ly)?"
)
_IMAGE = (
    r"(?:(?:the|this|that|your|these|those|any|an|attached|actual|provided|uploaded) ){0,3}(?:images?|photos?"
    r"|photographs?|pictures?|visuals?|visual content|attachments?|files?|links?|it)\b(?! (?:on|hanging|hung) )"
)
_GIVEN = (
    r"(?:images?|photos?|photographs?|pictures?|sentences|notes|captions?|descriptions?|list|details|information"
    r"|context|text)"
)

_UNABLE = re.compile(
    rf"\b(?:as an? {_MACHINE}{_SPEAKS}|i(?: am|'m) (?:just |only |merely )?an? {_MACHINE}"
    rf"|{_CANNOT} (?:see|view|access|open|look at|perceive|display|load|process)(?:ing)?(?: or \w{{1,12}})? {_IMAGE}"
    rf"|{_CANNOT} (?:see|view|access)(?=[.,;!]|$)"
    rf"|{_CANNOT} (?:assist|help(?! but)|comply|fulfill?|proceed|engage|do (?:that|this|so)\b|provide|answer"
    rf"|determine|describe|analyze|interpret|confirm|verify|generate|create|continue|complete|discuss|share|tell\b)"
    rf"|{_CANNOT} (?:identify|recognize)(?! (?:an?|any|another|other)\b)"
    r"|i (?:do not|don't) have (?:(?:the|any|direct|an) ){0,2}(?:ability|capability|access|permission|eyes|vision"
    r"|enough information|sufficient information|images?|photos?|pictures?)\b"
    r"|i have no (?:access|ability|eyes|way of (?:seeing|viewing|knowing))|i lack the ability"
    r"|i (?:must|have to|need to|will have to) decline|i decline to|i refuse to|i(?: am|'m) not comfortable"
    r"|(?:not possible|impossible) for me to\b"
    r"|against (?:my|our|the (?:content|usage|safety)) (?:\w{1,12} )?(?:guidelines|polic(?:y|ies)|programming)"
    r"|i (?:do not|don't) see (?:an?|any|the) (?:image|photo|picture|attachment)s?"
    r"(?: (?:attached|provided|uploaded)|[.,]|$)"
    r"|(?:there (?:is|was|are|were) )?no (?:image|photo|picture)s? (?:(?:is|was|are|has been|have been|were) )?"
    r"(?:attached|provided|uploaded|shared|included)\b"
    r"|you (?:have not|haven't|did not|didn't) (?:attach|provide|upload|share|include)"
    r"|no puedo (?:ayudar|asistir|cumplir|proporcionar|describir|responder|hacer eso|ver (?:la|las|esta|im[aá]genes))"
    r"|como (?:un )?modelo de lenguaje|como (?:una )?(?:ia|inteligencia artificial)\b"
    r"|je ne (?:peux|puis) (?:malheureusement )?(?:pas )?(?:(?:vous|t'|vous y) ?)?(?:aider|répondre|décrire|fournir"
    r"|accéder|satisfaire|voir (?:l'|les |cette )image)|je suis (?:dans l'incapacité|incapable)"
    r"|en tant (?:que modèle|qu'ia|qu'intelligence|que modele)"
    r"|ich kann (?:\w{1,12} ){0,3}(?:nicht|keine?)\b|ich bin nicht in der lage"
    r"|als (?:ki|sprachmodell|künstliche intelligenz)\b)"
    r"|作为.{0,6}(?:AI|人工智能|语言模型)|我无法(?:查看|看到|提供|帮助|协助)",
    re.IGNORECASE,
)
"""One who cannot or will not. "I cannot see a cat" is a definite answer; that there is no image to see is none."""
_SORRY = re.compile(
    r"(?:oh |well |but |unfortunately,? )?(?:"
    r"i(?: am|'m) (?:very |so |truly |really |terribly )?sorry\b|i apologi[sz]e\b|(?:my (?:sincere )?)?apologies\b"
    r"|sorry,? (?:but )?i\b|i(?: am|'m) afraid (?:that )?i\b|i regret (?:that|to)\b"
    rf"|please (?:provide|upload|attach|share|send)(?: me)?(?: with)? (?:(?:the|an?|your|some|more) ){{0,2}}{_GIVEN}\b"
    r"|lo (?:siento|lamento)\b|(?:je suis )?désolée?\b|(?:es )?tut mir (?:sehr |wirklich )?leid\b|leider kann ich\b"
    r"|抱歉|对不起|很抱歉)",
    re.IGNORECASE,
)
"""How a sentence of one who declines begins."""
_STRICT = re.compile(
    r"(?:(?:no|yes|hello|hi|sure|well|oh)[,.!] )?(?:sorry\b|unfortunately\b"
    r"|i (?:can ?not|can't|could not|couldn't|do not|don't|am unable|won't|will not|would need|need)\b"
    r"|i'(?:m unable|d need|ll need|m not)\b|please (?:provide|upload|attach|share|send)\b"
    r"|(?:could|can|would) you (?:please )?(?:provide|upload|attach|share|send|clarify)"
    rf"|(?:it (?:seems|appears|looks like) (?:that )?)?(?:there (?:is|are) )?no {_GIVEN}\b(?! of)"
    r"|it (?:seems|appears|looks like) (?:that )?you\b|entschuldigung\b)",
    re.IGNORECASE,
)
"""How a description never begins."""

_TOLD = r"(?:captions?|captioning|annotations?|sentences|descriptions?|notes|metadata|prompt)"
_SAY = (
    r"(?:(?:\w{1,12}ly|also|all|both|do|does|did|not|don't|doesn't|didn't) ){0,2}(?:sa(?:y|ys|id)|stat(?:e|es|ed)"
    r"|tell(?:s)?|told|(?:mention|describe?|indicate?|suggest|show|note|report|specif(?:y|ie)|refer|impl(?:y|ie)|list"
    r"|reveal|confirm|agree)(?:s|d|ed)?)\b"
)
_WHOSE = r"(?:the|these|those|this|that|each|every|all|both|some|several|most|one|any|of|given|provided|image|photo)"
_NOT_THERE = (
    r"(?! (?:on|printed|written|beside|below|above|under|beneath|next to|of the (?:poster|sign|cartoon|score)))"
)
_QUARTER = r"(?:0?\.\d{1,6}|1\.0{1,6}|0\.0{1,6}|[01])"
_APART = r"(?:\s*+[,;]\s*+|\s++)"
_NUMBERS = re.compile(
    rf"[\[(]\s*+{_QUARTER}(?:{_APART}{_QUARTER}){{3}}\s*+[\])]|\[\s*+\d{{1,5}}(?:{_APART}\d{{1,5}}){{3}}\s*+\]"
    rf"|\b(?:at|from|to|near|around|between|position) [\[(]\s?0?\.\d{{1,6}}{_APART}0?\.\d{{1,6}}\s?[\])]"
    r"|\b0?\.\d{1,6} (?:from|of|to) the (?:left|right|top|bottom|upper|lower|width|height|image|picture)\b"
    r"|\b[xy][12]\s?[=:]\s?\d",
    re.IGNORECASE,
)
_HINTS = tuple(
    "caption annotation sentence description note metadata prompt coordinate bounding bbox detect context list text "
    "information data detail input".split()
)
"""One of them is in whatever _SOURCE finds; it is slower to look for than they are."""
_SOURCE = re.compile(
    r"\b(?:bounding[- ]?(?:box(?:es)?|areas?|regions?|rectangles?)\b|bbox(?:es)?\b|object detection\b"
    r"|detected objects\b|[xy][- ]coordinates?\b"
    rf"|(?:the|these|those|their|its|given|normali[sz]ed|pixel|box|object) coordinates\b{_NOT_THERE}"
    r"(?! (?:tattooed|engraved|shown on|displayed))|coordinates of\b|coordinates? [\[(]|(?:at|with) coordinates\b"
    rf"|{_WHOSE} (?:(?:image|photo|given|provided|first|second|third|fourth|fifth|last) ){{0,2}}{_TOLD} {_SAY}"
    rf"|(?:do|does|did) (?:the|these|those|this) (?:(?:given|provided) )?{_TOLD} {_SAY}"
    r"|(?:the|these|all|this) (?:given|provided|supplied) (?:image |photo )?"
    rf"(?:sentences?|context|{_TOLD})\b{_NOT_THERE}|(?:the|these) (?:five|four|three|two) captions\b"
    r"|(?:(?:one|some|most|all|each|several|two|three) of the|each|the|every|another|given) sentences? "
    rf"{_SAY}|(?:these|the image|image) captions?\b"
    r"|(?:according to|based (?:up)?on|per|judging (?:by|from)|(?:described|mentioned|stated|given|noted|said"
    r"|indicated|provided|specified|listed) (?:in|by))(?: (?:the|these|those|all|both|each|given"
    rf"|provided|available|image|above|five|four)){{1,3}}"
    rf" (?:{_TOLD}|sentences?|context|coordinates|list (?:of (?:things|objects|items|categories)))\b"
    rf"{_NOT_THERE}"
    rf"|as (?:described|mentioned|stated|noted) in the (?:text|list|information|data)\b(?=[.,;]|$)"
    r"|(?:according to|based (?:up)?on|from|per) (?:the|all) (?:(?:given|provided|available|supplied) "
    rf"(?:information|text|data|details|input)\b{_NOT_THERE}|(?:information|text|data|details|input) (?:given|provided"
    rf"|available|supplied)\b{_NOT_THERE})"
    rf"|from the {_TOLD},|given (?:the |these )?(?:captions|description of the (?:image|photo|picture)|sentences"
    r"|annotations)\b"
    rf"|(?:the|this|that|provided|given) list (?:of (?:things|objects|items|categories) )(?:\w{{1,12}} )?{_SAY}"
    rf"|(?:given|provided) (?:text|information|data) {_SAY})",
    re.IGNORECASE,
)
"""What the model was told, by the way in which it is spoken of: a source that says something, according to a source,
coordinates of something, four numbers in brackets. Words that are innocent elsewhere (caption, notes, list, text,
coordinates) count only so, and not where they stand on a sign; "bounding box" counts always."""

_BROKEN = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffd\ud800-\udfff]")


@dataclass(frozen=True)
class Rule:
    """`found` tells what of the turns breaks the rule, or None."""

    reason: str
    found: Callable[[Sequence[Turn]], str | None]


def _texts(turns: Sequence[Turn]) -> Iterator[str]:
    return (text for turn in turns for text in (turn.question, turn.answer))


def _plain(text: str) -> str:
    """With the commonest signs for one that a model may write in many ways."""
    return unicodedata.normalize("NFKC", text.translate(_PLAIN)).translate(_PLAIN)


def _first(pattern: re.Pattern[str]) -> Callable[[Sequence[Turn]], str | None]:
    def found(turns: Sequence[Turn]) -> str | None:
        return next((hit.group() for text in _texts(turns) if (hit := pattern.search(text))), None)

    return found


def _refusal(turns: Sequence[Turn]) -> str | None:
    """Words of another, in quotation marks, are no refusal. A text that answers no question is held to more."""
    for turn in turns:
        for text in map(_plain, (turn.question, turn.answer)):
            said = text if turn.question else text.strip().strip('"')
            if not turn.question and (hit := _STRICT.match(said.lstrip(" *_#>\t\n"))):
                return hit.group()
            said = _QUOTED.sub('""', said)
            begun = (_SORRY.match(one.group().lstrip(" *_#>\t,-—'")) for one in _SENTENCE.finditer(said))
            if hit := next((one for one in begun if one), None) or _UNABLE.search(said):
                return hit.group()
    return None


def _source(turns: Sequence[Turn]) -> str | None:
    for text in map(_plain, _texts(turns)):
        low = text.lower()
        hinted = any(hint in low for hint in _HINTS)
        if hit := (hinted and _SOURCE.search(text)) or _NUMBERS.search(text):
            return hit.group()
    return None


def _empty(turns: Sequence[Turn]) -> str | None:
    return next((f"turn {i}" for i, turn in enumerate(turns, 1) if not visible(turn.answer)), None)


def _broken_text(turns: Sequence[Turn]) -> str | None:
    return next((f"U+{ord(hit.group()):04X}" for text in _texts(turns) if (hit := _BROKEN.search(text))), None)


def _repeated(turns: Sequence[Turn]) -> str | None:
    asked = set[str]()
    for turn in turns:
        words = " ".join(re.findall(r"\w+", turn.question.casefold()))
        if words in asked:
            return turn.question
        asked.add(words)
    return None


def _token(turns: Sequence[Turn]) -> str | None:
    return IMAGE if any(IMAGE in turn.question + turn.answer for turn in turns) else None


REFUSAL = Rule("refusal", _refusal)
RULES: tuple[Rule, ...] = (
    Rule("empty_answer", _empty),
    Rule("broken_text", _broken_text),
    REFUSAL,
    Rule("names_its_source", _source),
    Rule("repeated_question", _repeated),
    Rule("image_token", _token),
)
"""An answer that names captions, boxes or coordinates does not speak as one who sees the image."""


def rules(max_chars: int, patterns: Mapping[str, str], off: Collection[str] = ()) -> tuple[Rule, ...]:
    """RULES, then: no text of a turn longer than `max_chars`, and none in which one of `patterns` (reason: regular
    expression, in any case) is found. `off` names those of RULES that are left out. Raises re.error, and ValueError for
    a name that none of RULES has."""

    def too_long(turns: Sequence[Turn]) -> str | None:
        longest = max(len(text) for text in _texts(turns))
        return f"{longest:,} characters are over {max_chars:,}" if longest > max_chars else None

    names = [rule.reason for rule in RULES]
    if unknown := [name for name in off if name not in names]:
        raise ValueError(f"{unknown[0]!r} is no rule that can be left out: take of {', '.join(names)}")
    kept = (rule for rule in RULES if rule.reason not in off)
    own = (Rule(reason, _first(re.compile(pattern, re.IGNORECASE))) for reason, pattern in patterns.items())
    return (*kept, Rule("too_long", too_long), *own)


def broken(turns: Sequence[Turn], rules: Sequence[Rule] = RULES) -> tuple[str, str] | None:
    """The reason and detail of the first rule that turns break, or None."""
    return next(((rule.reason, told) for rule in rules if (told := rule.found(turns)) is not None), None)
