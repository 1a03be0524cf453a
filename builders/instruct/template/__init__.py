"""Answers without a model: what the annotations of an image decide, and how it is said."""
