"""Encodes message bodies as bytes and decodes them, independently of queue engines and worker hosts."""
