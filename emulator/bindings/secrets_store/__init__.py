"""Secrets that an account keeps for all its workers."""
