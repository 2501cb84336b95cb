"""Long trials of the real program: killed at random moments, and run for minutes. Each has a short form as a test."""
