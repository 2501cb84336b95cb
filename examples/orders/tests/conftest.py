"""A payment service for the tests."""

import pytest

from emulator.testing import Response


class Payments:
    """Charges once for each key. `busy` is how many requests it sends away before; `down` turns all of them away."""

    def __init__(self):
        self.charges = {}
        self.busy = 0
        self.down = False

    def __call__(self, call):
        if self.down:
            return Response("out of order", status=503)
        if self.busy:
            self.busy -= 1
            return Response("busy", status=429, headers={"retry-after": "60"})
        # Without a key, each request is a charge of its own.
        key = call.headers.get("idempotency-key", f"request {len(self.charges) + 1}")
        self.charges.setdefault(key, call.json()["cents"])
        return {"ok": True}


@pytest.fixture
def payments(emulator):
    service = Payments()
    emulator.outbound.post("https://payments.example/charges", service)
    return service
