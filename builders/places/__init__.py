"""Where files lie: on this machine's disk, or on an object store, read and written alike."""
