"""Categories in English sentences."""

from __future__ import annotations

import pytest

from builders.instruct.template.english import article, listed, noun

COCO = """
person: a person, two people | bicycle: a bicycle, two bicycles | car: a car, two cars
motorcycle: a motorcycle, two motorcycles | airplane: an airplane, two airplanes | bus: a bus, two buses
train: a train, two trains | truck: a truck, two trucks | boat: a boat, two boats
traffic light: a traffic light, two traffic lights | fire hydrant: a fire hydrant, two fire hydrants
stop sign: a stop sign, two stop signs | parking meter: a parking meter, two parking meters
bench: a bench, two benches | bird: a bird, two birds | cat: a cat, two cats | dog: a dog, two dogs
horse: a horse, two horses | sheep: a sheep, two sheep | cow: a cow, two cows | elephant: an elephant, two elephants
bear: a bear, two bears | zebra: a zebra, two zebras | giraffe: a giraffe, two giraffes
backpack: a backpack, two backpacks | umbrella: an umbrella, two umbrellas | handbag: a handbag, two handbags
tie: a tie, two ties | suitcase: a suitcase, two suitcases | frisbee: a frisbee, two frisbees
skis: a pair of skis, two pairs of skis | snowboard: a snowboard, two snowboards | sports ball: a ball, two balls
kite: a kite, two kites | baseball bat: a baseball bat, two baseball bats
baseball glove: a baseball glove, two baseball gloves | skateboard: a skateboard, two skateboards
surfboard: a surfboard, two surfboards | tennis racket: a tennis racket, two tennis rackets
bottle: a bottle, two bottles | wine glass: a wine glass, two wine glasses | cup: a cup, two cups
fork: a fork, two forks | knife: a knife, two knives | spoon: a spoon, two spoons | bowl: a bowl, two bowls
banana: a banana, two bananas | apple: an apple, two apples | sandwich: a sandwich, two sandwiches
orange: an orange, two oranges | broccoli: some broccoli | carrot: a carrot, two carrots
hot dog: a hot dog, two hot dogs | pizza: some pizza | donut: a donut, two donuts | cake: some cake
chair: a chair, two chairs | couch: a couch, two couches | potted plant: a potted plant, two potted plants
bed: a bed, two beds | dining table: a table, two tables | toilet: a toilet, two toilets | tv: a TV, two TVs
laptop: a laptop, two laptops | mouse: a computer mouse, two computer mice
remote: a remote control, two remote controls | keyboard: a keyboard, two keyboards
cell phone: a cell phone, two cell phones | microwave: a microwave, two microwaves | oven: an oven, two ovens
toaster: a toaster, two toasters | sink: a sink, two sinks | refrigerator: a refrigerator, two refrigerators
book: a book, two books | clock: a clock, two clocks | vase: a vase, two vases
scissors: a pair of scissors, two pairs of scissors | teddy bear: a teddy bear, two teddy bears
hair drier: a hair dryer, two hair dryers | toothbrush: a toothbrush, two toothbrushes
"""
NAMES = [tuple(entry.strip().split(": ")) for line in COCO.strip().splitlines() for entry in line.split(" | ")]


def test_there_are_eighty_categories() -> None:
    assert len(NAMES) == 80


@pytest.mark.parametrize(("category", "expected"), NAMES)
def test_a_category_of_coco_is_good_english_with_its_article_and_in_its_plural(category: str, expected: str) -> None:
    found = noun(category)
    assert found is not None
    assert (found.a if found.mass else f"{found.a}, {found.counted(2)}") == expected


@pytest.mark.parametrize(
    ("category", "expected"),
    [
        ("space_shuttle", "two space shuttles"),
        ("butterfly", "two butterflies"),
        ("fish", "two fish"),
        ("box", "two boxes"),
    ],
)
def test_a_category_that_is_in_no_table_is_made_plural_by_rule(category: str, expected: str) -> None:
    found = noun(category)
    assert found is not None
    assert found.counted(2) == expected


@pytest.mark.parametrize("category", ["jeans", "curtains", "lighting", "n02084071", "Gemüse", "mango", "person/rider"])
def test_a_category_whose_english_no_rule_tells_is_left_out(category: str) -> None:
    assert noun(category) is None


@pytest.mark.parametrize("category", ["espresso", "sand", "green grass"])
def test_stuff_is_not_counted(category: str) -> None:
    found = noun(category)
    assert found is not None
    assert (found.a, found.any) == (f"some {category}", f"any {category}")


@pytest.mark.parametrize(
    ("words", "expected"),
    [("oven", "an"), ("bus", "a"), ("unicycle", "a"), ("umbrella", "an"), ("hourglass", "an"), ("one", "a")],
)
def test_the_article_goes_by_the_sound(words: str, expected: str) -> None:
    assert article(words) == expected


def test_a_list_ends_in_and() -> None:
    assert listed(["a cat"]) == "a cat"
    assert listed(["a cat", "a dog", "a bed"]) == "a cat, a dog and a bed"
