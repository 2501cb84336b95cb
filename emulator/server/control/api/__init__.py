"""The REST API on a running session, in the shapes of Cloudflare's: what wrangler and the official SDKs talk to.

What it can be asked comes from the binding kinds. `routes` puts that together, and `envelope` is what every answer
comes in. Who may ask is the guard's business, as of all of the control plane.
"""

from emulator.server.control.api.routes import make_api

__all__ = ["make_api"]
