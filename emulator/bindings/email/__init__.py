"""E-mail that workers send."""
