"""The fixtures of tests with JavaScript workers."""

from tests.hosts.workerd.fixtures import workerd, workers  # noqa: F401 - fixtures
