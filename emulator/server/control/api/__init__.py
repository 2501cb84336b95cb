"""The REST API on a running session, in the shapes of Cloudflare's: what wrangler and the official SDKs talk to.

What it can be asked comes from the binding kinds. `routes` puts that together, `guard` says who may ask, and `envelope`
is what every answer comes in.
"""

from emulator.server.control.api.routes import make_api

__all__ = ["make_api"]
