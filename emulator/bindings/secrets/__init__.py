"""Secrets: strings out of `.dev.vars` and `.env`, which no message ever shows."""
