"""A world with known truth: drawn pictures, what is said of them, and whether that is so.

world.py lays a scene out; backdrops.py, things.py and picture.py draw it; meaning.py judges what a caption claims;
english.py and foreign.py word it, edits.py makes it false; noise.py plants what a filter should find; source.py hands
out records, contrasts.py pairs of captions that differ in one point. Record i depends on (parameters, i) alone.
"""
