"""Images for the tests of `template`, described in a line or two."""

from __future__ import annotations

from builders.instruct.context import Box, Corners
from builders.instruct.parse import Kind
from builders.instruct.template.compose import Seen, Template
from builders.instruct.turns import Turn

COCO = (
    "person,bicycle,car,motorcycle,airplane,bus,train,truck,boat,traffic light,fire hydrant,stop sign,parking meter,"
    "bench,bird,cat,dog,horse,sheep,cow,elephant,bear,zebra,giraffe,backpack,umbrella,handbag,tie,suitcase,frisbee,"
    "skis,snowboard,sports ball,kite,baseball bat,baseball glove,skateboard,surfboard,tennis racket,bottle,wine glass,"
    "cup,fork,knife,spoon,bowl,banana,apple,sandwich,orange,broccoli,carrot,hot dog,pizza,donut,cake,chair,couch,"
    "potted plant,bed,dining table,toilet,tv,laptop,mouse,remote,keyboard,cell phone,microwave,oven,toaster,sink,"
    "refrigerator,book,clock,vase,scissors,teddy bear,hair drier,toothbrush"
).split(",")

LEFT, RIGHT = (0.05, 0.3, 0.4, 0.8), (0.6, 0.3, 0.95, 0.8)
TOP, BOTTOM = (0.3, 0.02, 0.7, 0.35), (0.3, 0.6, 0.7, 0.98)


def seen(captions: str, crowds: tuple[str, ...] = (), invalid: bool = False, **boxes: Corners | list[Corners]) -> Seen:
    """Captions divided by "|"; boxes by category, with "_" for a space."""
    placed = [
        Box(category.replace("_", " "), corners)
        for category, those in boxes.items()
        for corners in (those if isinstance(those, list) else [those])
    ]
    return Seen(tuple(captions.split("|")), tuple(placed), frozenset(crowds), invalid)


def asked(image: Seen, kind: Kind = "conversation", keys: int = 60, seed: int = 0) -> list[Turn]:
    """All turns about an image that any of many keys draws; none where the image is rejected."""
    template = Template(COCO, {}, seed)
    drawn = (template.turns(image, kind, f"key {key}") for key in range(keys))
    return [turn for turns in drawn if isinstance(turns, list) for turn in turns]


def answers(image: Seen, kind: Kind = "conversation") -> str:
    """All of their answers, small letters, a line each."""
    return "\n".join(turn.answer.lower() for turn in asked(image, kind))
