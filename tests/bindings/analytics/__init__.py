"""Analytics Engine."""
