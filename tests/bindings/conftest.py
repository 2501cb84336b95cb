"""Bindings are tested in JavaScript workers, too."""

from tests.hosts.workerd.fixtures import workerd, workers  # noqa: F401 - fixtures
