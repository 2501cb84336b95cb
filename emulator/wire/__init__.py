"""Bytes and values: how message bodies are encoded. Knows no engine and no host."""
