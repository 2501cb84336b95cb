"""The fixture of tests of the REST API."""

from tests.server.control.api.rest_fixture import rest  # noqa: F401 - a fixture
