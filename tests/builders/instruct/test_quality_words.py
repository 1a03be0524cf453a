"""By which words a refusal, or a mention of what the model was told, is known; and by which it is not."""

from __future__ import annotations

import pytest

from builders.instruct.quality import REFUSAL, broken
from builders.instruct.turns import Turn

REFUSALS = [
    "I'm sorry, but I can't assist with that.",
    "I’m sorry, but I can’t assist with that.",
    "I´m sorry.",
    "I’m unable to help.",
    "I'm unable to help",
    "I am not able to view it.",
    "I cannot describe the image.",
    "I can’t describe this image.",
    "I can't identify people",
    "I can't identify people in images.",
    "I cannot see the image.",
    "I can't see images.",
    "I don't have access to the image",
    "I do not have the ability to see images.",
    "Sorry, I can't do that.",
    "Sorry, but I cannot fulfill this request.",
    "I apologize, but I cannot fulfill this request",
    "My apologies; this is against the guidelines.",
    "I'm afraid I can't do that.",
    "I won't be able to help with this.",
    "I must decline",
    "I must decline to answer.",
    "I cannot comply with this request.",
    "It is not possible for me to see.",
    "There is no image attached",
    "Unfortunately, there is no image provided.",
    "You haven't uploaded a picture.",
    "Please provide the sentences and the list.",
    "As a text-based AI, I have no eyes.",
    "As an AI language model, I cannot",
    "I am an AI and I cannot view images.",
    "I'm just an AI",
    "I can not help",
    "Lo siento, no puedo ayudar con eso.",
    "No puedo ver la imagen.",
    "Como modelo de lenguaje, no veo.",
    "Je suis désolé, mais je ne peux pas vous aider.",
    "Désolée, je ne peux pas répondre.",
    "Je ne peux pas voir l’image.",
    "Es tut mir leid, aber ich kann dabei nicht helfen.",
    "Tut mir leid, das geht nicht.",
    "Ich kann das Bild leider nicht sehen.",
    "抱歉，我无法查看图片。",
    "**I'm sorry**, I cannot tell.",
]


@pytest.mark.parametrize("answer", REFUSALS)
def test_a_refusal_is_told_in_a_turn_and_where_it_stands_alone(answer: str) -> None:
    for turn in (Turn("What is it?", answer), Turn("What is it?", f"A cat. {answer}"), Turn("", answer)):
        found = broken([turn])
        assert found is not None
        assert found[0] == "refusal"


@pytest.mark.parametrize(
    "text",
    [
        "Could you please provide the notes of the photograph?",
        '"I can\'t see anything."',
        "It seems you forgot the notes.",
        "No image was there.",
        "Unfortunately the notes are empty.",
        "I need the notes first.",
        "Sorry. This goes too far.",
        "It looks like there are no sentences to go by.",
    ],
)
def test_a_text_that_answers_no_question_is_held_to_more(text: str) -> None:
    assert broken([Turn("", text)], [REFUSAL]) is not None


@pytest.mark.parametrize(
    "answer",
    [
        "No, I cannot see a cat in the picture.",
        "No, I can't see any people in the image.",
        "No, I cannot identify any animals.",
        "I could not see better.",
        "I can't help but notice the light.",
        'The sign says "I\'m sorry".',
        "It says “I’m sorry, I can’t help you”.",
        "The child looks like it says 'I am sorry'.",
        "The man looks sorry",
        "The blog post says as an AI engineer she works.",
        "The robot serves as an AI assistant.",
        "It is not possible to determine whether he skis downhill.",
        "There is no image on the wall.",
        "No photos hang there.",
        "The dog off its leash is against park policy.",
        "No, there is no picture of a cat.",
    ],
)
def test_an_innocent_answer_is_no_refusal(answer: str) -> None:
    assert broken([Turn("What is it?", answer)]) is None


SOURCES = [
    "According to the notes, a cat sits.",
    "As the notes say, there is a cat.",
    "Based on the information provided, a cat.",
    "Based on the provided information, a cat.",
    "From the descriptions, it appears that a cat sits.",
    "The description mentions a cat.",
    "The provided image description mentions a cat.",
    "The sentences say a cat.",
    "One of the sentences mentions a dog.",
    "As described in the text, a dog.",
    "The annotation shows a dog.",
    "According to the list of objects, a dog.",
    "The list of things found shows a cat.",
    "The bbox of the dog is large.",
    "The boundingbox is big.",
    "The dog's bounding area starts there.",
    "It is at (0.1, 0.2, 0.3, 0.4).",
    "It is at [0.1 0.2 0.3 0.4].",
    "[12, 40, 100, 200]",
    "It stands at [0.35, 0.307].",
    "Located at x1=0.12, y1=0.3.",
    "It begins at 0.12 from the left.",
    "The position 0.45 of the width.",
    "As mentioned in the captions, a dog.",
    "The captions describe a dog.",
    "The caption clearly says so.",
    "These captions agree.",
    "The coordinates of the dog are low.",
    "Its coordinates lie near the edge.",
    "Given the description of the image, a dog.",
    "Given sentences describe a cat.",
    "The object detection results show a dog.",
    "The metadata says so.",
    "The prompt says so.",
]


@pytest.mark.parametrize("text", SOURCES)
def test_what_the_model_was_told_is_named_in_an_answer_or_a_question(text: str) -> None:
    for turn in (Turn("What is it?", text), Turn(text, "A cat."), Turn("", text.upper())):
        found = broken([turn])
        assert found is not None
        assert found[0] == "names_its_source"


@pytest.mark.parametrize(
    "answer",
    [
        "The conductor coordinates the players",
        "A man coordinates the team's basketball plays.",
        "Her shoes coordinate with her dress",
        "The poster has a funny caption",
        "The poster's caption says hello.",
        "She captions the photo on her phone",
        "Map coordinates are printed on the shirt",
        "a list of prices on the board",
        "The notes on the sheet music",
        "According to the notes on the music stand, it is slow.",
        "She takes notes and describes the plants.",
        "at 3 (three) o'clock",
        "a ratio of [sic]",
        "The scoreboard reads [0.5, 0.7].",
        "They won four times (1990, 1994, 1998, 2002).",
        "The provided information on the sign tells of trains.",
        "The sign states that the given text is old.",
        "The text says STOP.",
        "The sentence on the wall is long.",
        "The sign lists 3.5 of the hours.",
        "It is 0.5 miles from the left bank.",
        "The boxes are bound with rope.",
    ],
)
def test_the_same_words_in_another_use_are_innocent(answer: str) -> None:
    assert broken([Turn("What is it?", answer)]) is None
