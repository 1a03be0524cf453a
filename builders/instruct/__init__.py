"""Conversations about an image, as LLaVA made them."""
