"""The bindings that wrangler knows and the emulator does not emulate yet."""
