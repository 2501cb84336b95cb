"""Secrets: strings from `.dev.vars` and `.env`, which no message shows."""
