"""The Cache API: `caches.default` and `caches.open(name)`. It is not declared: every worker has it."""
