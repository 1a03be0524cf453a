"""Grounding: noun chunks, boxes for them, referring expressions, and Kosmos-2's text format."""
