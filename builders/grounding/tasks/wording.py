"""How tasks ask. The wording is ours; what stands around it are the formats of Kosmos-2, Qwen-VL, LLaVA and PaLI."""

from __future__ import annotations

KOSMOS2_CAPTION = (
    "In short, the picture shows:",
    "What can be seen here:",
    "A caption for this photo:",
    "The scene in one sentence:",
    "This is what the image shows:",
)
"""What stands before a grounded caption in Kosmos-2's text."""

QWEN_CAPTION = (
    "Write a caption with grounding:",
    "Caption this picture with grounding:",
    "Say in English what is shown, with grounding:",
    "Give a short description with grounding:",
    "Describe the photo with grounding:",
)
"""What asks for a grounded caption in Qwen-VL's text."""

WHERE = (
    "Where is {}? Answer with its bounding box.",
    "Give the bounding box of {}.",
    "Which region shows {}? Tell its coordinates.",
    "Find {} and give the coordinates of its box.",
    "What are the coordinates of {}?",
)
"""What asks for the box of a phrase."""

WHERE_ALL = (
    "Where are they: {}? Answer with a bounding box each.",
    "Give all bounding boxes of {}.",
    "Which regions show {}? Tell the coordinates of each.",
    "Find {} and give the coordinates of every box.",
)
"""What asks for the boxes of a phrase that has several."""

WHAT = (
    "What is in the region {}?",
    "Describe what the box {} holds.",
    "Say in a few words what is at {}.",
    "Which thing lies at {}?",
    "Refer to what is shown in {}.",
)
"""What asks for the phrase of a box."""

PRESENCE = (
    "Is there {} in the picture?",
    "Does the image show {}?",
    "Can {} be seen here?",
    "Does this photo have {} in it?",
)
"""What asks whether a thing ("a dog") is there."""

LISTING = (
    "Which objects does the picture show?",
    "List the objects in this image.",
    "Name the things that can be seen here.",
    "What objects are in the photo?",
)
"""What asks for all things."""

WHICH = (
    "Which of these are in the picture: {}?",
    "Of {}, which does the image show?",
    "Which of the following can be seen here: {}?",
    "{}: which of them are in the photo?",
)
"""What asks which of several things are there."""
