"""An HTTP API with FastAPI, whose slow work goes through a queue."""

import asgi
from api import app
from workers import WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        return await asgi.fetch(app, request, self.env)

    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            print(f"Packing {message.body.quantity} x {message.body.item}")
            message.ack()
