"""Names that workers with a Workflow import. Workflows themselves are not emulated yet."""

from __future__ import annotations


class NonRetryableError(Exception):
    """Raised in a step of a Workflow to say that it must not be retried."""
