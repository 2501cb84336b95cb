"""Cloudflare's REST API for queues, on a running session: what wrangler and the official SDKs talk to.

`routes` says what answers at which address, and `guard` who may ask. `queues`, `consumers` and `messages` hold the
calls: plain functions of a session and a decoded body, whose shapes are in `bodies`. `envelope` is the form of every
answer.
"""

from emulator.server.control.api.routes import make_api

__all__ = ["make_api"]
