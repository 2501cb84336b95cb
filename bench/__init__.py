"""Benchmarks: the emulator beside uvicorn, workerd and wrangler dev, on this machine. Run by `python -m bench`."""
