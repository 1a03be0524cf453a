"""A dataset in the files that other programs read."""
