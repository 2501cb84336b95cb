"""Runs workers written in Python in this process."""
