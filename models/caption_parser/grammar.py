"""A grammar of image captions: every caption that it draws comes with its gold tree in CLEAR labels.

What a treebank of blogs and mails lacks: titles without a verb, "a man riding a wave on a surfboard", noun compounds,
lists with and without commas, "next to", "on top of", "close up of". Words and rules are our own.
"""

from __future__ import annotations

import random

import lexicon
from nouns import Node, comma_after
from phrases import BELONGINGS, OBJECTS, SUBJECTS, Phrases, last_conjunct
from tree import Tree

LONGEST = 26


class CaptionGrammar:
    """Draws captions, lower case and without a final stop, from one random generator."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.phrases = Phrases(rng)

    def caption(self) -> Tree:
        """One caption of 3 to LONGEST words."""
        frames = {
            self._title: 46, self._progressive: 17, self._finite: 22, self._existence: 6, self._state: 8,
            self._two_clauses: 3, self._bare_list: 2,
        }  # fmt: skip
        while True:
            self.phrases.nouns.headline = self.chance(0.08)
            frame = self.rng.choices(list(frames), list(frames.values()))[0]
            tree = frame().tree()
            if 3 <= len(tree) <= LONGEST:
                return tree

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def _title(self) -> Node:
        """A caption without a finite verb: "a man on a bench holding an umbrella"."""
        kind = self.phrases.kind(SUBJECTS)
        joined = self.chance(0.16)
        noun = self.phrases.noun_phrase(kind, 0, extended=0 if joined else None)
        if joined:
            self.phrases.join(noun, lambda: self.phrases.conjunct(kind), 0.7)
            self.phrases.extend(last_conjunct(noun) if self.chance(0.5) else noun, kind, 1)
        elif not noun.after or self.chance(0.3):
            self.phrases.extend(noun, kind, 0)
            if self.chance(0.04):  # the one place where "and" reaches over a whole phrase
                self.phrases.join(noun, lambda: self.phrases.noun_phrase(kind, 0), 1)
        return noun

    def _progressive(self) -> Node:
        """ "a man is riding a wave", "two cars are parked on the street"."""
        subject, _ = self._subject()
        auxiliary = self.phrases.be(subject)
        if self.chance(0.75):
            verb = self.phrases.verb_phrase("VBG", 0)
            labels = "aux", "nsubj"
        else:
            verb = self.phrases.participle_phrase(0)
            labels = "auxpass", "nsubjpass"
            if self.chance(0.15):
                verb.lead("aux", Node("being", "VBG")).label = "auxpass"
        if self.chance(0.06):
            verb.lead("advmod", Node(self.rng.choice(lexicon.ADVERBS_BEFORE_A_VERB), "RB"))
        verb.lead(labels[0], auxiliary)
        verb.lead(labels[1], subject)
        return verb

    def _finite(self) -> Node:
        """ "a surfer carries his board", "a desk has a laptop on it"."""
        subject, kind = self._subject()
        if kind in ("things", "places", "foods") and self.chance(0.3):
            verb = Node("have", "VBP") if self.phrases.agrees_in_plural(subject) else Node("has", "VBZ")
            verb.take("dobj", self.phrases.noun_phrase(self.phrases.kind(BELONGINGS), 1))
            if self.chance(0.5):
                verb.take("prep", self.phrases.with_pronoun())
        else:
            verb = self.phrases.verb_phrase("VBP" if self.phrases.agrees_in_plural(subject) else "VBZ", 0)
        if self.chance(0.04):
            verb.lead("advmod", Node(self.rng.choice(lexicon.ADVERBS_BEFORE_A_VERB), "RB"))
        verb.lead("nsubj", subject)
        return verb

    def _existence(self) -> Node:
        """ "there is a laptop on the desk", "this is a train"."""
        noun, kind = self._subject(depth=0)
        if not noun.after:
            self.phrases.extend(noun, kind, 0)
        if self.chance(0.75):
            be = self.phrases.be(noun)
            be.lead("expl", Node("there", "EX"))
        else:
            be = Node("is", "VBZ")
            be.lead("nsubj", self.rng.choice([Node("this", "DT"), Node("it", "PRP")]))
        be.take("attr", noun)
        return be

    def _state(self) -> Node:
        """ "the kitchen is yellow with white cabinets", "a man is on skis"."""
        subject, _ = self._subject()
        be = self.phrases.be(subject)
        be.lead("nsubj", subject)
        if self.chance(0.45):
            predicate = be.take("acomp", Node(self.rng.choice(lexicon.PREDICATES), "JJ"))
            if self.chance(0.3):
                predicate.take("cc", Node("and", "CC"))
                predicate.take("conj", Node(self.rng.choice(lexicon.PREDICATES), "JJ"))
            if self.chance(0.2):
                predicate.text, predicate.tag = "full", "JJ"
                predicate.take("prep", Node("of", "IN")).take(
                    "pobj", self.phrases.nouns.crowd_of(self.phrases.kind(OBJECTS))
                )
        if not be.after or self.chance(0.6):
            self.phrases.place(be, 1)
        if self.chance(0.25):
            be.take("advcl", self.phrases.verb_phrase("VBG", 2))
        return be

    def _two_clauses(self) -> Node:
        """Two clauses joined by "and", "while" or "as"."""
        main = self.rng.choice([self._progressive, self._finite])()
        other = self.rng.choice([self._progressive, self._finite])()
        if self.chance(0.5):
            if self.chance(0.4):
                comma_after(main)
            main.take("cc", Node("and", "CC"))
            main.take("conj", other)
        else:
            other.lead("mark", Node(self.rng.choice(["while", "as", "as"]), "IN"))
            main.take("advcl", other)
        return main

    def _bare_list(self) -> Node:
        """ "a silver parking meter a green car and a lamp post": a list without commas."""
        first = self.phrases.nouns.phrase(self.phrases.kind(OBJECTS))
        self.phrases.join(first, lambda: self.phrases.nouns.phrase(self.phrases.kind(OBJECTS)), and_only=0, commas=0.1)
        return first

    def _subject(self, depth: int = 1) -> tuple[Node, str]:
        """The subject of a clause and its kind, sometimes two joined."""
        kind = self.phrases.kind(SUBJECTS)
        noun = self.phrases.noun_phrase(kind, depth, extended=0.32)
        if not noun.after and self.chance(0.14):
            self.phrases.join(noun, lambda: self.phrases.conjunct(kind), 0.85)
            noun.plural = True
        return noun, kind
