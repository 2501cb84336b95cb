"""The embedded queue engine: the state machine of a queue, its driver, and the journal that keeps messages on disk."""
