"""The queue producer binding."""
