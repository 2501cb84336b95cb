"""The embedded queue engine: the state machine of a queue, what drives it, and the journal that keeps it on disk."""
