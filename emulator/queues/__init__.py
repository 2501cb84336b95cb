"""Queues: what an engine does, what its messages and settings are, and the rules that no engine owns."""
