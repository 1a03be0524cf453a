"""Ways to ask for a description, for LLaVA's naive expansion (its paper's tables 11 and 12). The wording is ours."""

from __future__ import annotations

BRIEF = (
    "What is in this picture? One sentence is enough.",
    "Sum up the photo in a few words.",
    "Write a short caption for this image.",
    "Tell me briefly what can be seen here.",
    "In one line: what does the picture show?",
    "Give a compact description of the scene.",
    "How would you caption this photo?",
    "Name the essentials of this image, briefly.",
    "What is the gist of this picture?",
    "Put what you see into a single short sentence.",
    "Briefly, what is going on here?",
)
"""Eleven, for captions."""

DETAILED = (
    "Describe this picture in detail.",
    "Tell me everything that can be seen in this photo.",
    "What does the image show? Be thorough.",
    "Take me through the scene, piece by piece.",
    "Write a detailed account of what is in the picture.",
    "Describe the photo so that somebody who cannot see it could imagine it.",
    "What are the things in this image, and how do they lie to each other?",
    "Give a full description of the scene, with its surroundings.",
    "Look closely at this picture and report what you find.",
    "Explain in depth what is shown here.",
    "What can be made out in this photo, from the front to the back?",
    "Describe the objects, the people and the place in this image as fully as you can.",
    "Paint the scene in words, leaving out nothing that matters.",
    "Which details of this picture catch the eye? Describe all of it.",
    "Give me a long and exact description of this photo.",
    "What is happening in this image? Answer at length, with the details.",
)
"""Sixteen, for long descriptions."""
