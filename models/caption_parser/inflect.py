"""English word forms for the caption grammar."""

from __future__ import annotations

PLURALS = {
    "man": "men", "woman": "women", "child": "children", "person": "people", "sheep": "sheep", "goose": "geese",
    "knife": "knives", "shelf": "shelves", "bookshelf": "bookshelves", "mouse": "mice", "policeman": "policemen",
    "fireman": "firemen", "snowman": "snowmen", "gentleman": "gentlemen", "businessman": "businessmen", "fish": "fish",
    "fisherman": "fishermen", "deer": "deer", "ox": "oxen", "calf": "calves", "wolf": "wolves", "leaf": "leaves",
    "loaf": "loaves", "half": "halves", "foot": "feet", "wife": "wives", "aircraft": "aircraft", "series": "series",
    "tomato": "tomatoes", "potato": "potatoes", "bison": "bison", "scissor": "scissors", "woods": "woods",
}  # fmt: skip
"""Irregular plurals."""

PARTICIPLES = {
    "make": "made", "see": "seen", "take": "taken", "cut": "cut", "hang": "hung", "set": "set", "tie": "tied",
    "light": "lit", "lead": "led", "ride": "ridden", "drive": "driven", "show": "shown", "spread": "spread",
    "lade": "laden",
}  # fmt: skip
"""Irregular past participles."""

DOUBLING = frozenset(
    """
        sit run swim chat get cut hit pet hug stop shop grab bat chop skip wrap swat flip set sip nap sled wag top
        pat slip hop jog plan strap rub squat stir
    """.split()
)
"""Verbs that double their last letter before -ing and -ed."""


def plural(noun: str) -> str:
    """The plural of a singular noun."""
    return PLURALS.get(noun) or _with_s(noun)


def third_person(verb: str) -> str:
    """ "rides", "watches", "carries", "has"."""
    return {"have": "has", "be": "is", "ski": "skis", "go": "goes", "do": "does"}.get(verb) or _with_s(verb)


def _with_s(word: str) -> str:
    if word.endswith("y") and word[-2] not in "aeiou":
        return word[:-1] + "ies"
    return word + ("es" if word.endswith(("s", "x", "ch", "sh", "z")) else "s")


def gerund(verb: str) -> str:
    """ "riding", "sitting", "lying"."""
    if verb in DOUBLING:
        return verb + verb[-1] + "ing"
    if verb in ("lie", "tie"):
        return verb[:-2] + "ying"
    if verb.endswith("e") and not verb.endswith(("ee", "ye", "oe")) and verb != "be":
        return verb[:-1] + "ing"
    return verb + "ing"


def participle(verb: str) -> str:
    """ "parked", "stacked", "made"."""
    if verb in PARTICIPLES:
        return PARTICIPLES[verb]
    if verb in DOUBLING:
        return verb + verb[-1] + "ed"
    if verb.endswith("y") and verb[-2] not in "aeiou":
        return verb[:-1] + "ied"
    return verb + ("d" if verb.endswith("e") else "ed")


def article(following: str) -> str:
    """ "a" or "an" before a word."""
    return "an" if following[0].lower() in "aeiou" and not following.startswith(("uni", "use", "one")) else "a"
