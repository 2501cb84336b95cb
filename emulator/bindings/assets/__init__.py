"""Static assets: files that are served beside a worker's code, or without any."""
