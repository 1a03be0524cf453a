"""The shapes: what a user writes (recipe), what a shard holds (sample), what a dataset says of itself (manifest)."""
