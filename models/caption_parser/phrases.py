"""The phrases of the caption grammar: nouns with what follows them, prepositional phrases, verbs with theirs."""

from __future__ import annotations

import random
from collections.abc import Callable

import lexicon
from inflect import gerund, participle, third_person
from nouns import COLOURS, Node, NounPhrases, comma_after, compound

SUBJECTS = {"people": 9, "animals": 5, "vehicles": 3, "things": 5, "foods": 2, "places": 2}
OBJECTS = {"things": 9, "foods": 3, "people": 2, "animals": 2, "vehicles": 3, "places": 1}
LOCATIONS = {"places": 9, "things": 7, "people": 2, "animals": 1, "vehicles": 2, "foods": 1}
BELONGINGS = {"things": 6, "foods": 4, "people": 3, "animals": 2, "clothes": 3, "parts": 4, "vehicles": 1, "places": 2}
"""How often which kind of noun stands where."""

AFTER_ANIMATES = {"doing": 34, "located": 24, "with": 14, "done": 10, "relative": 7, "like": 2, "full": 3}
AFTER_THINGS = {"doing": 13, "located": 30, "with": 17, "done": 22, "relative": 6, "like": 3, "full": 3}
"""How often what follows a noun."""


class Phrases:
    """Draws phrases from one random generator; `depth` counts how deep they are nested, and the deeper, the shorter."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.nouns = NounPhrases(rng)

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def be(self, subject: Node) -> Node:
        return Node("are", "VBP") if self.agrees_in_plural(subject) else Node("is", "VBZ")

    def agrees_in_plural(self, subject: Node) -> bool:
        """Whether the verb is plural; captions do not always agree."""
        return subject.plural != self.chance(0.04)

    def kind(self, weights: dict[str, int]) -> str:
        return self.rng.choices(list(weights), list(weights.values()))[0]

    # ---- noun phrases --------------------------------------------------------------------------------------------

    def noun_phrase(self, kind: str, depth: int, extended: float | None = None) -> Node:
        """A noun phrase with what follows it; the deeper, the less."""
        noun = self._core(kind, depth)
        if self.chance((0.62, 0.27, 0.06, 0)[min(depth, 3)] if extended is None else extended):
            self.extend(noun, kind, depth)
        return noun

    def _core(self, kind: str, depth: int) -> Node:
        of_phrases = {"collection": 10, "portion": 3, "picture": 0, "side": 2, "kinds": 2, "": 84}
        if kind == "foods":
            of_phrases |= {"portion": 22}
        if depth == 0:
            of_phrases |= {"picture": 8, "collection": 13}
        drawn = self.rng.choices(list(of_phrases), list(of_phrases.values()))[0] if depth < 3 else ""
        if not drawn:
            return self.nouns.phrase(kind)
        bare = drawn in ("collection", "portion", "kinds") and self.chance(0.85)
        inner = self.nouns.crowd_of(kind) if bare else self._core(kind, depth + 1)
        if bare and self.chance(0.14):
            self.join(inner, lambda: self.nouns.crowd_of(kind), 0.7)
        return self.nouns.kinds_of(inner) if drawn == "kinds" else self.nouns.of_phrase(drawn, inner)

    def extend(self, noun: Node, kind: str, depth: int) -> None:
        """Hang a phrase or a clause after the noun."""
        weights = dict(AFTER_ANIMATES if kind in ("people", "animals") else AFTER_THINGS)
        if kind == "places":
            weights["doing"] = 2
        if any(child.text != "of" for child in noun.after):  # "a man with a hat that ...": the clause is the hat's
            weights["relative"] = 0
        drawn = self.kind(weights)
        if drawn == "doing":
            wearing = kind == "people" and self.chance(0.25)
            noun.take("acl", self._wearing(depth) if wearing else self.verb_phrase("VBG", depth + 1))
        elif drawn == "located":
            self.place(noun, depth + 1)
            if depth == 0 and self.chance(0.25):
                noun.take("acl", self.verb_phrase("VBG", 2))
        elif drawn == "with":
            self._belongings(noun, depth + 1)
            if depth == 0 and self.chance(0.3):
                noun.take("acl", self.verb_phrase("VBG", 2) if self.chance(0.7) else self.participle_phrase(2))
        elif drawn == "done":
            noun.take("acl", self.participle_phrase(depth + 1))
            if depth == 0 and self.chance(0.15):
                self.place(noun, 2)
        elif drawn == "full" and self.chance(0.3):
            aim = noun.take("amod", Node("ready", "JJ")).take("xcomp", self.verb_phrase("VB", depth + 1))
            aim.lead("aux", Node("to", "TO"))
        elif drawn == "full":
            noun.take("amod", Node("full", "JJ")).take("prep", Node("of", "IN")).take("pobj", self._list(depth))
        elif drawn == "like":
            noun.take("prep", Node(self.rng.choice(["like", "for", "including"]), "IN")).take("pobj", self._list(depth))
        else:
            self._relative_clause(noun, depth)

    def _relative_clause(self, noun: Node, depth: int) -> None:
        """ "that is parked", "who wears a hat", "that reads we heart our customers"."""
        draw = self.rng.random()
        form = "VBP" if self.agrees_in_plural(noun) else "VBZ"
        if draw < 0.4:
            verb = self.verb_phrase("VBG", depth + 1)
            verb.lead("aux", self.be(noun))
        elif draw < 0.7:
            verb = self.verb_phrase(form, depth + 1)
        elif draw < 0.85:
            verb = self.be(noun)
            self.place(verb, depth + 1)
        else:
            says = self.rng.choice(["say", "read"])
            verb = Node(says if form == "VBP" else third_person(says), form)
            if self.chance(0.4):
                verb.take(
                    "dobj",
                    compound(self.rng.choice(["stop", "welcome", "yield", "keep_out", "happy/JJ_birthday", "love"])),
                )
            else:
                clause = verb.take("ccomp", self.verb_phrase("VBP", 2))
                clause.lead("nsubj", Node(self.rng.choice(["we", "you", "i", "they", "we"]), "PRP"))
        marker = self.rng.choice(["that", "that", "which", "who"])
        verb.lead("nsubj", Node(marker, "WP" if marker == "who" else "WDT"))
        noun.take("relcl", verb)

    def _wearing(self, depth: int) -> Node:
        """ "wearing a hat, scarf and mittens", "dressed in black"."""
        verb = Node("wearing", "VBG")
        garment = verb.take("dobj", self._garment())
        if self.chance(0.4):
            self.join(garment, self._garment, 0.8)
        if self.chance(0.4):
            verb.take("advcl", self.verb_phrase("VBG", depth + 2))
        elif self.chance(0.15):
            verb.take("cc", Node("and", "CC"))
            verb.take("conj", self.verb_phrase("VBG", depth + 2))
        return verb

    def _garment(self) -> Node:
        if self.chance(0.3):
            noun = Node(self.rng.choice(lexicon.CLOTHES_IN_THE_PLURAL), "NNS")
            if self.chance(0.35):
                noun.lead("amod", Node(self.rng.choice(lexicon.ADJECTIVES[:16]), "JJ"))
            return noun
        return self.nouns.phrase("clothes", article_free=self.chance(0.15))

    def _list(self, depth: int) -> Node:
        """One thing, or two to four in a row."""
        kind = self.kind(BELONGINGS)
        noun = self.noun_phrase(kind, depth + 1)
        if self.chance(0.45):
            self.join(noun, lambda: self.conjunct(kind), 0.6)
        return noun

    def conjunct(self, kind: str) -> Node:
        """What may follow "and" after a noun of `kind`: mostly more of it, often without an article."""
        if self.chance(0.25):
            kind = {"people": "animals", "animals": "people"}.get(kind, "things")
        return self._core(kind, 2) if self.chance(0.2) else self.nouns.phrase(kind, article_free=self.chance(0.35))

    def join(self, first: Node, draw: Callable[[], Node], and_only: float, commas: float = 0.9) -> None:
        """Hang conjuncts in a chain on `first`: "a and b", "a, b and c"."""
        more = 1 if self.chance(and_only) else self.rng.choice([2, 2, 3])
        with_commas, serial = self.chance(commas), self.chance(0.4)
        conjunct = first
        for left in range(more, 0, -1):
            if with_commas and more > 1 and (left > 1 or serial):
                comma_after(conjunct)
            if left == 1:
                conjunct.take("cc", Node(self.rng.choice(["and"] * 14 + ["or", "&"]), "CC"))
            conjunct = conjunct.take("conj", draw())

    # ---- prepositions --------------------------------------------------------------------------------------------

    def _belongings(self, head: Node, depth: int) -> None:
        """ "with a hat and a bag", "with his dog sitting nearby", "with a mirror behind it"."""
        preposition = head.take("prep", Node("with" if self.chance(0.93) else "without", "IN"))
        noun = preposition.take("pobj", self._list(depth))
        draw = self.rng.random()
        noun = last_conjunct(noun)
        if noun.after or depth > 2:
            return
        if draw < 0.2:
            noun.take("acl", self.verb_phrase("VBG", depth + 1))
        elif draw < 0.3:
            noun.take("acl", self.participle_phrase(depth + 1))
        elif draw < 0.45:
            noun.take("prep", self.with_pronoun())
        elif draw < 0.5:
            noun.take("amod", Node(self.rng.choice(lexicon.PREDICATES), "JJ"))
        elif draw < 0.57:
            self._relative_clause(noun, depth)
        elif draw < 0.63:
            noun.take("prep", Node("in", "IN")).take("pobj", compound("background")).lead("det", Node("the", "DT"))

    def with_pronoun(self) -> Node:
        """ "on it", "behind them"."""
        preposition = Node(
            self.rng.choice(["on", "on", "in", "behind", "around", "under", "above", "near", "inside", "beside"]), "IN"
        )
        preposition.take("pobj", self.nouns.pronoun())
        return preposition

    def place(self, head: Node, depth: int, prepositions: list[str] | None = None) -> None:
        """A prepositional phrase after `head`, with one or more nouns."""
        rng = self.rng
        draw = rng.random()
        if prepositions is None and draw < 0.03:
            return _time(head, rng.choice(lexicon.TIMES))
        if prepositions is None and draw < 0.045:
            height = head.take("advmod", Node(rng.choice(["high", "high", "low", "far", "deep", "right"]), "RB"))
            if self.chance(0.4):
                height.take("advmod", Node("up", "RB"))
            last = height.take("prep", Node(rng.choice(["in", "in", "above", "over", "on"]), "IN"))
        elif prepositions is None and draw < 0.14:
            last = _chain(head, rng.choice(lexicon.PREPOSITION_CHAINS))
        elif prepositions is None and draw < 0.18:
            first, side = rng.choice(lexicon.PREPOSITION_NOUNS).split("/")
            noun = head.take("prep", Node(first, "IN")).take("pobj", Node(side, "NN"))
            noun.lead("det", Node("the", "DT"))
            last = noun.take("prep", Node("of", "IN"))
        else:
            last = head.take("prep", Node(rng.choice(prepositions or lexicon.PREPOSITIONS), "IN"))
        if self.chance(0.04):
            last.take("pobj", self.nouns.pronoun())
            return None
        kind = self.kind(LOCATIONS)
        noun = last.take("pobj", self.noun_phrase(kind, depth))
        if self.chance(0.11):
            self.join(noun, lambda: self.conjunct(kind), 0.8)
        if self.chance(0.08) and depth < 3:
            self.place(head, depth + 1)
        return None

    # ---- verb phrases --------------------------------------------------------------------------------------------

    def verb_phrase(self, form: str, depth: int) -> Node:
        """A verb of the Penn tag `form` with its objects, places and further verbs."""
        draw = self.rng.random()
        if draw < 0.42:
            verb = self._verb(self.rng.choice(lexicon.TRANSITIVE_VERBS), form)
            noun = verb.take("dobj", self.noun_phrase(self.kind(OBJECTS), depth + 1, extended=0.25))
            if self.chance(0.14):
                self.join(noun, lambda: self.conjunct(self.kind(OBJECTS)), 0.7)
            if self.chance(0.5):
                self.place(verb, depth + 1)
        elif draw < 0.49:
            verb = self._phrasal(form, depth)
        elif draw < 0.55 and depth < 3:
            verb = self._aim(form, depth)
        elif draw < 0.61:
            verb = self._verb(self.rng.choice(["look", "stare", "smile", "point", "gaze", "wave"]), form)
            self.place(verb, depth + 1, ["at", "at", "at", "into", "out", "towards"])
        else:
            verb = self._verb(self.rng.choice(lexicon.INTRANSITIVE_VERBS), form)
            if self.chance(0.16):
                verb.take("advmod", Node(self.rng.choice(lexicon.ADVERBS), "RB"))
            elif self.chance(0.1):
                verb.take("prt", Node(self.rng.choice(lexicon.PARTICLES), "RP"))
            elif self.chance(0.05):  # "sitting parked at a station"
                verb.take("advcl", self.participle_phrase(depth + 1))
                return verb
            if self.chance(0.85):
                self.place(verb, depth + 1)
        self._go_on(verb, form, depth)
        return verb

    def _verb(self, base: str, form: str) -> Node:
        inflected = {"VBG": gerund, "VBZ": third_person}.get(form, str)(base)
        return Node("are" if (base, form) == ("be", "VBP") else inflected, form)

    def _phrasal(self, form: str, depth: int) -> Node:
        """ "blowing out the candles", "sits down", "picks a ball up"."""
        verb = self._verb(self.rng.choice(lexicon.PARTICLE_VERBS), form)
        particle = Node(self.rng.choice(lexicon.PARTICLES), "RP")
        verb.take("prt", particle)
        if self.chance(0.5):
            verb.take("dobj", self.noun_phrase(self.kind(OBJECTS), depth + 1, extended=0.2))
        if self.chance(0.6):
            self.place(verb, depth + 1)
        return verb

    def _aim(self, form: str, depth: int) -> Node:
        """ "getting ready to hit a ball", "tries to catch a frisbee", "about to eat"."""
        base, _, complement = self.rng.choice(lexicon.AIMS).partition("_")
        if base == "about" or (base == "be" and form == "VBG"):
            verb = predicate = Node("about", "IN") if base == "about" else Node("ready", "JJ")
        else:
            verb = predicate = self._verb(base, form)
            if complement:
                predicate = verb.take("acomp", Node(complement, "JJ" if complement == "ready" else "IN"))
        aim = self.verb_phrase("VB", depth + 1)
        aim.lead("aux", Node("to", "TO"))
        predicate.take("xcomp", aim)
        return verb

    def _go_on(self, verb: Node, form: str, depth: int) -> None:
        """ "... while looking at her phone", "... and holding a bag", "... with people watching"."""
        draw = self.rng.random()
        if depth >= 2 or draw > 0.42:
            return
        if draw < 0.09:
            other = verb.take("advcl", self.verb_phrase("VBG", depth + 2))
            other.lead("mark", Node(self.rng.choice(["while", "while", "while", "before", "after"]), "IN"))
        elif draw < 0.22:
            if self.chance(0.2):
                comma_after(verb)
            verb.take("advcl", self.verb_phrase("VBG", depth + 2))
        elif draw < 0.3:
            verb.take("cc", Node("and", "CC"))
            verb.take("conj", self.verb_phrase(form, depth + 2))
        elif draw < 0.33:
            aim = verb.take("advcl", self.verb_phrase("VB", depth + 2))
            aim.lead("aux", Node("to", "TO"))
        elif draw < 0.38:
            self._belongings(verb, depth + 1)
        else:
            subject = self.nouns.phrase(self.kind(SUBJECTS))
            clause = verb.take("advcl", self.verb_phrase("VBP" if subject.plural else "VBZ", depth + 2))
            clause.lead("nsubj", subject)
            clause.lead("mark", Node(self.rng.choice(["as", "while", "as", "that"]), "IN"))

    def participle_phrase(self, depth: int) -> Node:
        """ "parked near a fence", "filled with fruit", "painted on a wall"."""
        prepositions = self.rng.choice(list(lexicon.PASSIVES))
        verb = Node(participle(self.rng.choice(lexicon.PASSIVES[prepositions].split())), "VBN")
        if self.chance(0.05):
            verb.take("prt", Node(self.rng.choice(["up", "down", "out", "together"]), "RP"))
        if self.chance(0.03):
            verb.text = "painted"
            verb.take("oprd", Node(self.rng.choice(COLOURS), "JJ"))
        if prepositions == "with" and self.chance(0.6):
            verb.take("prep", Node("with", "IN")).take("pobj", self._list(depth))
        elif self.chance(0.12):
            last = _chain(verb, self.rng.choice(lexicon.PREPOSITION_CHAINS))
            last.take("pobj", self.noun_phrase(self.kind(LOCATIONS), depth + 1))
        else:
            self.place(verb, depth + 1, prepositions.split())
        return verb


def last_conjunct(noun: Node) -> Node:
    while conjuncts := [child for child in noun.after if child.label == "conj"]:
        noun = conjuncts[-1]
    return noun


def _chain(head: Node, entry: str) -> Node:
    """A chain of prepositions after `head`: next > to, on > top > of. Returns the last."""
    for part in entry.split("_"):
        text, _, tag = part.partition("/")
        if tag == "RB":
            head = head.take("advmod", Node(text, tag))
        elif text in ("front", "top"):
            head = head.take("pobj", Node(text, "NN"))
        else:
            head = head.take("prep", Node(text, "IN"))
    return head


def _time(head: Node, entry: str) -> None:
    """ "at night", "during the day", "in mid air"."""
    first, *middle, last = entry.split("_")
    noun = head.take("prep", Node(first, "IN")).take("pobj", Node(last, "NN"))
    for word in middle:
        noun.lead("det" if word == "the" else "amod", Node(word, "DT" if word == "the" else "JJ"))
