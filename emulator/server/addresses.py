"""The addresses of the control plane that clients of it use, too, which is why this module imports nothing."""

from __future__ import annotations

from typing import Final

DASHBOARD: Final = "/cdn-cgi/emulator"
"""Where the pages of the dashboard are."""

DASHBOARD_API: Final = f"{DASHBOARD}/api"
"""Answers what happened, and why."""

API_PREFIX: Final = "/cdn-cgi/emulator/client/v4"
"""Where the REST API is."""

SCHEDULED_ADDRESS: Final = "/cdn-cgi/handler/scheduled"
"""Runs a `scheduled` handler."""

EMAIL_ADDRESS: Final = "/cdn-cgi/handler/email"
"""Runs an `email` handler."""

CRONS_ADDRESS: Final = "/cdn-cgi/emulator/crons"
"""Lists the crons of the workers."""

METRICS_ADDRESS: Final = "/cdn-cgi/emulator/metrics"
"""What Prometheus reads."""

LIVE_ADDRESS: Final = "/cdn-cgi/emulator/live"
"""Tells pages that listen when code was loaded again."""

LIVE_SCRIPT_ADDRESS: Final = "/cdn-cgi/emulator/live.js"
"""What makes a page listen."""
