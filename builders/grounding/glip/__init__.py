"""GLIP (Li et al. 2022, arXiv 2112.03857): boxes for the phrases of a caption, from the released checkpoints."""
