"""The noun phrases of the caption grammar.

A phrase is grown as `Node`s, heads with what stands before and after them, so every tree is projective and has one
root by construction.
"""

from __future__ import annotations

import random
from dataclasses import dataclass, field

import lexicon
from inflect import article, plural
from tree import ROOT, Token, Tree

KINDS = {
    "people": lexicon.PEOPLE, "animals": lexicon.ANIMALS, "vehicles": lexicon.VEHICLES, "things": lexicon.THINGS,
    "clothes": lexicon.CLOTHES, "foods": lexicon.FOODS, "places": lexicon.PLACES, "parts": lexicon.BODY_PARTS,
}  # fmt: skip
MASSES = {"foods": lexicon.FOODS_OF_NO_NUMBER, "clothes": lexicon.CLOTHES_OF_NO_NUMBER}
VEHICLE_PARTS = "door window wheel seat station stop driver windshield mirror top".split()
ANIMAL_THINGS = "pen cage bed head toy statue farm house food enclosure".split()
ADVERBS = ("well", "freshly", "brightly", "half", "multi", "nice", "odd")
COLOURS = "black white red blue green yellow brown orange pink gray grey silver tan purple".split()


@dataclass(eq=False)
class Node:
    """A word with its dependents in order of speech; `label` is its own to its head."""

    text: str
    tag: str
    label: str = "ROOT"
    before: list[Node] = field(default_factory=list)
    after: list[Node] = field(default_factory=list)
    plural: bool = False
    space: bool = True

    def take(self, label: str, child: Node) -> Node:
        """Hang `child` after this word; returns the child."""
        child.label = label
        self.after.append(child)
        return child

    def lead(self, label: str, child: Node) -> Node:
        """Hang `child` before this word, before what stands there already; returns the child."""
        child.label = label
        self.before.insert(0, child)
        return child

    def first(self) -> Node:
        """The word that the phrase begins with."""
        return self.before[0].first() if self.before else self

    def tree(self) -> Tree:
        """The phrase as a list of tokens."""
        order: list[tuple[Node, Node | None]] = []
        _flatten(self, None, order)
        place = {id(node): index for index, (node, _) in enumerate(order)}
        return [
            Token(node.text, node.tag, ROOT if head is None else place[id(head)], node.label, node.space)
            for node, head in order
        ]


def _flatten(node: Node, head: Node | None, order: list[tuple[Node, Node | None]]) -> None:
    for child in node.before:
        _flatten(child, node, order)
    order.append((node, head))
    for child in node.after:
        _flatten(child, node, order)


def parts(entry: str, tag: str) -> list[Node]:
    """The words of a lexicon entry: "hot/JJ_dog" is an adjective and a word with `tag`; a hyphen is its own word."""
    *others, final = entry.split("_")
    nodes = []
    for piece in [*others, final]:
        text, _, own = piece.partition("/")
        *joined, last = text.split("-")
        nodes += [node for part in joined for node in (Node(part, "NN", space=False), Node("-", "HYPH", space=False))]
        nodes.append(Node(last, own or (tag if piece is final else "NN")))
    return nodes


def compound(entry: str, tag: str = "NN") -> Node:
    """A noun with its modifiers chained before it, each on the next: dining > room > table."""
    *modifiers, noun = parts(entry, tag)
    following = noun
    for word in reversed(modifiers):
        following.lead({"N": "compound", "H": "punct"}.get(word.tag[0], "amod"), word)
        if word.tag != "HYPH":
            following = word
    return noun


def adjective(entry: str) -> Node:
    """An adjective or participle; "snow-covered" is three words, as the tokenizer splits it, "snow_covered" two."""
    text, _, own = entry.partition("/")
    if "_" in text:
        modifier, _, last = text.partition("_")
        head = Node(last, own or "JJ")
        _modify(head, modifier)
        return head
    *modifiers, last = text.split("-")
    head = Node(last, own or ("VBN" if modifiers and last.endswith("ed") else "JJ"))
    for modifier in reversed(modifiers):
        head.lead("punct", Node("-", "HYPH", space=False))
        _modify(head, modifier).space = False
    return head


def _modify(head: Node, modifier: str) -> Node:
    """Put "well", "snow" or the "and" of "black-and-white" before an adjective."""
    if modifier == "and":
        return head.lead("cc", Node("and", "CC"))
    if modifier in ADVERBS:
        return head.lead("advmod", Node(modifier, "RB"))
    return head.lead("npadvmod", Node(modifier, "NN"))


def comma_after(head: Node) -> None:
    """Hang a comma after all that `head` has so far."""
    last = head
    while last.after:
        last = last.after[-1]
    last.space = False
    head.take("punct", Node(",", ","))


class NounPhrases:
    """Draws noun phrases without what may follow them; `headline` leaves articles out, as titles do."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.headline = False

    def chance(self, probability: float) -> bool:
        return self.rng.random() < probability

    def phrase(self, kind: str, article_free: bool = False) -> Node:
        """A determiner, adjectives and a noun of `kind`."""
        if self.chance(0.012):
            return Node(self.rng.choice(lexicon.NAMES), "NNP")
        mass = kind not in ("people", "animals", "vehicles", "parts") and self.chance(0.13)
        if mass:
            noun, determiner = compound(self.rng.choice(MASSES.get(kind, lexicon.STUFF))), "mass"
        else:
            determiner = "bare" if article_free else self._determiner()
            noun = self._noun(kind, determiner in ("number", "quantity", "some", "bare plural"))
        self._describe(noun)
        self._determine(noun, determiner)
        return noun

    def pronoun(self) -> Node:
        """A pronoun as the object of a verb or preposition."""
        if self.chance(0.15):
            each = Node("each", "DT")
            each.take("advmod", Node("other", "JJ"))
            return each
        word = self.rng.choice(["it", "it", "him", "her", "them", "him", "himself", "something"])
        return Node(word, "NN" if word == "something" else "PRP")

    def _determiner(self) -> str:
        weights = {"a": 52, "the": 17, "his": 4, "this": 2, "number": 9, "quantity": 4, "some": 2, "bare plural": 8}
        drawn = self.rng.choices([*weights, "bare"], [*weights.values(), 2])[0]
        return "bare" if self.headline and drawn in ("a", "the") and self.chance(0.8) else drawn

    def _noun(self, kind: str, many: bool) -> Node:
        """A noun of the list, or a compound made of two lists."""
        rng = self.rng
        entry = rng.choice(KINDS[kind])
        if "_" not in entry and self.chance(0.17):
            if kind in ("things", "places", "foods", "clothes"):
                entry = f"{rng.choice(rng.choice([lexicon.MATERIALS, lexicon.ROOMS_AND_USES]))}_{entry}"
            elif kind == "vehicles":
                entry = f"{entry}_{rng.choice(VEHICLE_PARTS)}"
            elif kind == "animals" and self.chance(0.4):
                entry = f"{entry}_{rng.choice(ANIMAL_THINGS)}"
        elif kind == "things" and self.chance(0.06):
            entry = f"{rng.choice(lexicon.THINGS)}_{rng.choice(lexicon.PARTS_OF_THINGS)}"
        noun = compound(entry)
        if many:
            noun.text, noun.tag, noun.plural = plural(noun.text), "NNS", True
        if self.chance(0.03):
            name = rng.choice(lexicon.NAMES)
            noun.lead("compound", Node(name, "NNP"))
        return noun

    def _describe(self, noun: Node) -> None:
        """Adjectives before the noun."""
        rng = self.rng
        if self.chance(0.06):
            noun.lead("amod", adjective(rng.choice(lexicon.PARTICIPLES_BEFORE_A_NOUN)))
        for probability in (0.33, 0.12):
            if self.chance(probability):
                described = noun.lead("amod", adjective(rng.choice(lexicon.ADJECTIVES)))
                if self.chance(0.06):
                    described.lead("advmod", Node(rng.choice(lexicon.ADVERBS_OF_DEGREE), "RB"))
        if self.chance(0.035):
            first, second, third = rng.sample(COLOURS, 3)
            colour = noun.lead("amod", Node(first, "JJ"))
            if self.chance(0.2):
                comma_after(colour)
                colour = colour.take("conj", Node(third, "JJ"))
            colour.take("cc", Node("and", "CC"))
            colour.take("conj", Node(second, "JJ"))

    def _determine(self, noun: Node, determiner: str) -> None:
        rng = self.rng
        if determiner == "a":
            noun.lead("det", Node(article(noun.first().text), "DT"))
        elif determiner == "the":
            noun.lead("det", Node("the", "DT"))
        elif determiner == "this":
            noun.lead("det", Node(rng.choice(["this", "another", "each", "every", "any", "no", "one"]), "DT"))
        elif determiner == "some" or (determiner == "mass" and self.chance(0.25)):
            noun.lead("det", Node(rng.choice(["some", "some", "some", "all", "the", "the", "these"]), "DT"))
        elif determiner == "number":
            noun.lead("nummod", Node(rng.choice(lexicon.NUMBERS), "CD"))
            if self.chance(0.1):
                noun.lead("det", Node("the", "DT"))
        elif determiner == "quantity":
            quantity = noun.lead("amod", Node(rng.choice(lexicon.QUANTIFIERS), "JJ"))
            if quantity.text == "few":
                noun.lead("det", Node("a", "DT"))
        elif determiner == "his":
            if self.chance(0.5):
                noun.lead("poss", Node(rng.choice(["his", "her", "its", "their"]), "PRP$"))
            else:
                owner = noun.lead("poss", compound(rng.choice(lexicon.PEOPLE + lexicon.ANIMALS)))
                owner.lead("det", Node(rng.choice(["a", "the"]), "DT"))
                owner.space = False
                owner.take("case", Node("'s", "POS"))

    def of_phrase(self, kind: str, inner: Node) -> Node:
        """A noun that counts, contains, shows or is a side of `inner`: herd of, plate of, photo of, back of."""
        rng = self.rng
        names = {"collection": lexicon.COLLECTIONS, "portion": lexicon.PORTIONS, "picture": lexicon.PICTURES}
        noun = compound(rng.choice(names.get(kind, lexicon.SIDES)))
        if noun.text == "up":  # "a close up": the particle stands for the noun
            noun.before[0].label, noun.before[0].tag = "amod", "JJ"
            if self.chance(0.5):
                noun.before[0].space = False
                noun.before.append(Node("-", "HYPH", "punct", space=False))
        many = kind in ("collection", "portion") and noun.text != "lot" and self.chance(0.2)
        if many or (noun.text == "lot" and self.chance(0.3)):
            noun.text, noun.tag, noun.plural = plural(noun.text), "NNS", True
        if self.chance(0.25) and noun.text not in ("lot", "lots", "couple", "bunch", "up"):
            noun.lead("amod", adjective(rng.choice(lexicon.ADJECTIVES)))
        if noun.plural:
            if self.chance(0.6) and noun.text != "lots":
                noun.lead("nummod", Node(rng.choice(lexicon.NUMBERS), "CD"))
        elif not self.headline or self.chance(0.3):
            the = kind == "side" or (kind != "collection" and self.chance(0.08))
            if kind != "picture" or self.chance(0.75):
                noun.lead("det", Node("the" if the else article(noun.first().text), "DT"))
        noun.plural = noun.plural or kind == "collection"
        noun.take("prep", Node("of", "IN")).take("pobj", inner)
        return noun

    def kinds_of(self, inner: Node) -> Node:
        """ "all sorts of fruit", "different types of signs", "a kind of bird"."""
        noun = Node(self.rng.choice(lexicon.KINDS), "NN")
        if self.chance(0.7):
            noun.text, noun.tag, noun.plural = plural(noun.text), "NNS", True
            word = self.rng.choice(["all", "different", "various", "several", "many"])
            noun.lead("det" if word == "all" else "amod", Node(word, "DT" if word == "all" else "JJ"))
        else:
            noun.lead("det", Node(self.rng.choice(["a", "some"]), "DT"))
        noun.take("prep", Node("of", "IN")).take("pobj", inner)
        return noun

    def crowd_of(self, kind: str) -> Node:
        """What stands after "a herd of", "a plate of": a plural or a mass, mostly bare."""
        mass = kind in ("foods", "things", "places") and self.chance(0.55)
        if mass:
            noun = compound(self.rng.choice(MASSES.get(kind, lexicon.STUFF)))
        else:
            noun = self._noun("things" if kind == "places" else kind, many=kind != "foods" or self.chance(0.85))
        if self.chance(0.5):
            self._describe(noun)
        if self.chance(0.12):
            noun.lead("amod", Node(self.rng.choice(["different", "various", "assorted", "colorful"]), "JJ"))
        return noun
