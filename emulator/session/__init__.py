"""A session: some workers, their queues and bindings; the registry of running sessions; the watch on files."""
