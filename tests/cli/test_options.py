"""Options that several commands share: what a command is given for them."""

from __future__ import annotations

from pathlib import Path

import click
from click.testing import CliRunner

from emulator.cli.options import config_option, environment_option, session_options


@click.command()
@config_option
@environment_option
@session_options
def command(config_paths: tuple[Path, ...], environment: str | None, url: str | None, token: str | None) -> None:
    click.echo(repr((tuple(map(str, config_paths)), environment, url, token)))


def given(*arguments: str) -> str:
    result = CliRunner().invoke(command, arguments)
    assert result.exit_code == 0, result.output
    return result.output.strip()


def test_without_options_a_command_is_given_nothing() -> None:
    assert given() == "((), None, None, None)"


def test_a_configuration_can_be_named_several_times_and_keeps_its_order() -> None:
    assert given("-c", "web/wrangler.jsonc", "--config", "jobs") == "(('web/wrangler.jsonc', 'jobs'), None, None, None)"


def test_an_environment_an_address_and_a_token_have_one_value_each() -> None:
    arguments = ["-e", "staging", "--url", "http://localhost:1", "--token", "t"]
    assert given(*arguments) == "((), 'staging', 'http://localhost:1', 't')"
    assert given("--env", "a", "-e", "b") == "((), 'b', None, None)"
