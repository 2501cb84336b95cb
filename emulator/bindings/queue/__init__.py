"""Queues: the bindings that send to them, and the consumers that a configuration declares."""
