"""Bindings to other workers of the session."""
