"""Shards on disk: the store, the tar writer, the commit of a unit, verify and query."""
