"""Where production would serve a worker, from its configuration."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.config.project import load, wrap


@pytest.mark.parametrize(
    ("fragment", "origin"),
    [
        ('"routes": []', ""),
        ('"routes": ["shop.example.com/api/*", "other.example.com/*"]', "http://shop.example.com"),
        ('"route": "https://shop.example.com/*"', "http://shop.example.com"),
        ('"routes": ["*.Example.com/*"]', "http://example.com"),
        ('"routes": ["*example.com/*"]', "http://example.com"),
        ('"routes": [{"pattern": "shop.example.com", "custom_domain": true}]', "http://shop.example.com"),
        ('"routes": [{"pattern": "*/api/*", "zone_name": "example.com"}]', "http://example.com"),
        ('"routes": ["*/*"]', ""),
        ('"routes": ["shop.example.com/*"], "dev": {"host": "dev.example.com"}', "http://dev.example.com"),
        ('"dev": {"host": "dev.example.com", "upstream_protocol": "https"}', "https://dev.example.com"),
        ('"dev": {"upstream_protocol": "https"}', ""),
    ],
)
def test_the_origin_is_what_wrangler_dev_takes_for_it(tmp_path: Path, fragment: str, origin: str) -> None:
    config = load(tmp_path, wrap(fragment))
    assert config.origin == origin
    assert config.warnings == ()


@pytest.mark.parametrize("fragment", ['"routes": [7]', '"routes": ["a b/*"]'])
def test_a_route_that_is_refused_says_nothing_of_it(tmp_path: Path, fragment: str) -> None:
    config = load(tmp_path, wrap(fragment))
    assert config.origin == ""
    assert len(config.warnings) == 1


def test_an_environment_inherits_the_routes_unless_it_has_its_own(tmp_path: Path) -> None:
    text = wrap("""
        "routes": ["example.com/*"],
        "env": {"own": {"route": "own.example.com/*"}, "inherits": {}}
    """)
    assert load(tmp_path, text, environment="own").origin == "http://own.example.com"
    assert load(tmp_path, text, environment="inherits").origin == "http://example.com"
