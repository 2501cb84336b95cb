"""An HTTP API with FastAPI, whose slow work goes through a queue."""

import asgi
from api import app
from workers import MessageBatch, Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        return await asgi.fetch(app, request, self.env)

    async def queue(self, batch: MessageBatch, env: object, ctx: object) -> None:
        for message in batch.messages:
            print(f"Packing {message.body.quantity} x {message.body.item}")
            message.ack()
