"""Where the REST API is. Clients of it need to know too, so this imports nothing."""

from __future__ import annotations

from typing import Final

API_PREFIX: Final = "/cdn-cgi/emulator/client/v4"
