"""The Secrets Store."""
