"""What the OTEL_* variables ask for."""

from __future__ import annotations

import pytest

from emulator.telemetry.settings import read_settings

ENDPOINT = "OTEL_EXPORTER_OTLP_ENDPOINT"
ALL = {"traces", "logs", "metrics"}


def test_nothing_is_exported_without_an_endpoint() -> None:
    for variables in ({}, {"OTEL_SERVICE_NAME": "shop"}, {ENDPOINT: ""}, {"OTEL_TRACES_EXPORTER": "none"}):
        assert read_settings(variables).endpoints == {}
        assert read_settings(variables).problems == []


def test_an_endpoint_is_for_all_signals() -> None:
    settings = read_settings({ENDPOINT: "http://user:secret@collector:4318/base"})
    assert settings.endpoints == dict.fromkeys(ALL, "http://collector:4318")


def test_an_endpoint_can_be_for_one_signal() -> None:
    assert read_settings({"OTEL_EXPORTER_OTLP_LOGS_ENDPOINT": "http://logs/v1/logs"}).endpoints == {
        "logs": "http://logs"
    }


def test_an_exporter_that_is_named_goes_to_the_endpoint_of_the_specification() -> None:
    assert read_settings({"OTEL_METRICS_EXPORTER": "otlp"}).endpoints == {"metrics": "http://localhost:4318"}


def test_the_sdk_can_be_disabled() -> None:
    assert read_settings({ENDPOINT: "http://collector", "OTEL_SDK_DISABLED": "TRUE"}).endpoints == {}
    assert read_settings({ENDPOINT: "http://collector", "OTEL_SDK_DISABLED": "no"}).endpoints.keys() == ALL


def test_a_signal_can_be_left_out() -> None:
    settings = read_settings({ENDPOINT: "http://collector", "OTEL_TRACES_EXPORTER": "none"})
    assert settings.endpoints.keys() == ALL - {"traces"}
    assert settings.problems == []


def test_exporters_and_protocols_that_there_are_not_are_told() -> None:
    settings = read_settings({ENDPOINT: "http://collector", "OTEL_LOGS_EXPORTER": "console, otlp"})
    assert settings.endpoints.keys() == ALL
    assert settings.problems == ["OTEL_LOGS_EXPORTER=console: the emulator exports logs by otlp only"]
    settings = read_settings({ENDPOINT: "http://collector:4317", "OTEL_EXPORTER_OTLP_TRACES_PROTOCOL": "grpc"})
    assert settings.endpoints.keys() == ALL - {"traces"}
    [problem] = settings.problems
    assert problem == "OTEL_EXPORTER_OTLP_PROTOCOL=grpc: the emulator exports traces by http/protobuf only"


@pytest.mark.parametrize(
    ("propagators", "follows"), [("", True), ("tracecontext,baggage", True), ("none", False), ("b3", False)]
)
def test_the_causes_of_requests_are_followed_if_that_format_is_among_those_wanted(
    propagators: str, follows: bool
) -> None:
    assert read_settings({"OTEL_PROPAGATORS": propagators}).follows is follows
