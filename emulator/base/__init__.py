"""What everything else stands on: the bus, errors, failures, the clock and words. Imports nothing of the emulator."""
