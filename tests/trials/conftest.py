"""Trials find each other's sessions no more than other tests do."""

from tests.support.runtime_directory import runtime  # noqa: F401 - a fixture
