"""Which version of a worker runs."""
