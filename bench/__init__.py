"""Benchmarks: the emulator beside wrangler dev and Miniflare, on this machine, in one go. Run by `python -m bench`."""
