"""Tells OpenTelemetry what happens in a session: traces, logs and metrics, over OTLP."""
