"""The fixtures of tests with Python workers."""

from tests.hosts.python.support import loading, write  # noqa: F401 - fixtures
