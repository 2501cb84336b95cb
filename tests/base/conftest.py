"""Failures are tested with workers that are loaded."""

from tests.hosts.python.support import loading, write  # noqa: F401 - fixtures
