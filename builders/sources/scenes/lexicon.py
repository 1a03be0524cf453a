"""The English words of the world and the forms that captions take. Tables only: a line more is a wording more."""

from __future__ import annotations

NOUNS: dict[str, tuple[tuple[str, str], ...]] = {
    "house": (("house", "houses"), ("cottage", "cottages")),
    "tree": (("tree", "trees"),),
    "car": (("car", "cars"), ("automobile", "automobiles")),
    "boat": (("boat", "boats"), ("sailboat", "sailboats")),
    "sun": (("sun", "suns"),),
    "cat": (("cat", "cats"), ("kitten", "kittens")),
    "fish": (("fish", "fish"),),
    "cup": (("cup", "cups"), ("mug", "mugs")),
    "star": (("star", "stars"),),
    "ball": (("ball", "balls"),),
    "flower": (("flower", "flowers"),),
    "kite": (("kite", "kites"),),
    "umbrella": (("umbrella", "umbrellas"), ("parasol", "parasols")),
    "butterfly": (("butterfly", "butterflies"),),
    "mushroom": (("mushroom", "mushrooms"), ("toadstool", "toadstools")),
    "duck": (("duck", "ducks"), ("duckling", "ducklings")),
}
"""What each thing may be called: one, several."""

SIZES = {"small": ("small", "little", "tiny"), "big": ("big", "large")}
COUNTS = ("", "a", "two", "three", "four")
BE = ("is", "are")
SEEN = ("can be seen", "can be seen")
DOES = {
    "house": ("stands", "stand"), "tree": ("grows", "grow"), "car": ("is parked", "are parked"),
    "sun": ("shines", "shine"), "cat": ("sits", "sit"),
    "cup": ("stands", "stand"), "star": ("shines", "shine"), "ball": ("lies", "lie"), "flower": ("grows", "grow"),
    "kite": ("flies", "fly"), "butterfly": ("flutters", "flutter"), "mushroom": ("grows", "grow"),
}  # fmt: skip
"""What a thing does, of one and of several; SEEN for the others."""

GROUNDS: dict[str, tuple[tuple[str, str], ...]] = {
    "meadow": (("in a", "meadow"), ("in a", "field")),
    "sea": (("at", "sea"), ("out at", "sea"), ("in the middle of the", "sea")),
    "beach": (("at the", "beach"), ("at the", "seaside"), ("by a sandy", "shore")),
    "night": (("at", "night"), ("in the", "night"), ("under a starry", "sky")),
    "evening": (("in the", "evening"), ("at", "sunset"), ("at", "dusk")),
    "room": (("in a", "room"), ("inside a", "room")),
    "snow": (("in the", "snow"), ("in a snowy", "landscape")),
}
"""What is said of a background: what goes before, and the word that tells it."""

STANDING: dict[str, tuple[tuple[str, str], ...]] = {
    "meadow": (("on the", "grass"), ("on a", "lawn")),
    "sea": (("on the", "water"), ("on the", "sea"), ("on the", "waves")),
    "beach": (("on the", "sand"), ("on a", "beach")),
    "snow": (("on the", "snow"),),
}
"""What is said only of things that do not hang in the air."""

PLACES: dict[str, tuple[tuple[str, str, str], ...]] = {
    "left": (("to the", "left", "of"), ("", "left", "of"), ("on the", "left", "of")),
    "right": (("to the", "right", "of"), ("", "right", "of"), ("on the", "right", "of")),
    "above": (("", "above", ""), ("", "over", ""), ("", "above", "")),
    "below": (("", "below", ""), ("", "under", ""), ("", "beneath", "")),
    "near": (("", "near", ""), ("", "beside", ""), ("next", "to", ""), ("close", "to", "")),
    "between": (("", "between", ""),),
}
"""What tells a place: what goes before, the word itself, what follows."""

PLACE_WORDS: tuple[dict[str, str], ...] = (
    {"left": "left", "right": "right"},
    {"above": "above", "over": "above", "below": "below", "under": "below", "beneath": "below", "near": "near"},
)
"""Words that can stand in for each other in a sentence, and the place that each means."""

ONE = (
    "{0} {ground}", "{0} {ground}", "there {be0} {0} {ground}", "a picture of {0} {ground}", "{ground} , {0}",
    "{0} {does} {ground}", "{0} {does} {ground}", "{ground} there {be0} {0}", "an image showing {0} {ground}",
    "we can see {0} {ground}", "a drawing of {0} {ground}", "just {0} {ground}",
    "{0}", "there {be0} {0}", "a picture of {0}", "an image with {0}", "a drawing of {0}", "we see {0} here",
)  # fmt: skip
"""One phrase. `does` is what such a thing does, `be0` "is" or "are", `ground` the background."""

LISTED = (
    "{all} {ground}", "{all} {ground}", "there {be0} {all} {ground}", "a picture of {all} {ground}",
    "{ground} , {all}", "{ground} there {be0} {all}", "an image showing {all} {ground}", "a scene with {all} {ground}",
    "we can see {all} {ground}", "a drawing of {all} {ground}", "{all} together {ground}",
    "{all}", "a picture with {all}", "there {be0} {all}", "an image of {all}", "a drawing that shows {all}",
)  # fmt: skip
"""Several phrases without a place."""

PLACED = (
    "{0} {place} {1} {ground}", "{0} {place} {1} {ground}", "there {be0} {0} {place} {1} {ground}",
    "{0} {be0} {place} {1} {ground}", "{ground} , {0} {be0} {place} {1}", "{ground} there {be0} {0} {place} {1}",
    "a picture of {0} {place} {1} {ground}", "{ground} , {place} {1} , there {be0} {0}",
    "{0} {place} {1}", "{0} {be0} {place} {1}", "there {be0} {0} {place} {1}", "{place} {1} there {be0} {0}",
    "a picture with {0} {place} {1}", "we see {0} {place} {1}",
)  # fmt: skip
"""Two phrases and a place."""

PLACED_AND = (
    "{rest} , and {0} {place} {1} , all {ground}", "{ground} there {be2} {rest} , and {0} {be0} {place} {1}",
    "{ground} , {0} {be0} {place} {1} , and there {be2} also {rest}",
    "{rest} , and {0} {place} {1}", "{0} {be0} {place} {1} , and there {be2} also {rest}",
    "there {be2} {rest} , and {0} {be0} {place} {1}",
)  # fmt: skip
"""Two phrases and a place, and further phrases, put so that the place cannot be taken to hold for them too."""

BETWEEN = (
    "{0} {place} {1} and {2} {ground}", "{0} {be0} {place} {1} and {2} {ground}",
    "{ground} , {0} {be0} {place} {1} and {2}", "{ground} there {be0} {0} {place} {1} and {2}",
    "{0} {place} {1} and {2}", "{0} {be0} {place} {1} and {2}", "{place} {1} and {2} there {be0} {0}",
)  # fmt: skip
"""Three phrases, the first between the others."""

CLAUSE = frozenset({"there", "{be0}", "{does}", "see"})
"""Parts that make a form a whole sentence."""
