"""The Cache API."""
