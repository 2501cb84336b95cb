"""Where the REST API is. Its clients use this module too, so it imports nothing."""

from __future__ import annotations

from typing import Final

API_PREFIX: Final = "/cdn-cgi/emulator/client/v4"
