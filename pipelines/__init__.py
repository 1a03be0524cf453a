"""The Ray DAGs, a page each, and the engine under them. The only code that imports ray."""
