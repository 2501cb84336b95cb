"""Version metadata."""
