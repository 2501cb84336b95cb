"""A session: some workers, the queues they share and their bindings; who else runs; what changes on disk."""
