"""Hyperdrive."""
