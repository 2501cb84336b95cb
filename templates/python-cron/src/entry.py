"""Looks every five minutes whether a site answers, and sends an alert through a queue when it does not."""

from workers import MessageBatch, Request, Response, WorkerEntrypoint, fetch


class Default(WorkerEntrypoint):
    async def scheduled(self, controller: object, env: object, ctx: object) -> None:
        trouble = await look_at(self.env.SITE)
        if trouble:
            await self.env.ALERTS.send({"site": self.env.SITE, "trouble": trouble})

    async def queue(self, batch: MessageBatch, env: object, ctx: object) -> None:
        for message in batch.messages:
            print(f"ALERT {message.body.site}: {message.body.trouble}")
            message.ack()

    async def fetch(self, request: Request) -> Response:
        return Response(f"{self.env.SITE}: {await look_at(self.env.SITE) or 'is fine'}\n")


async def look_at(site: str) -> str:
    """What is wrong with a site; empty if nothing is."""
    try:
        response = await fetch(site)
    except Exception as error:
        return f"does not answer ({error})"
    return "" if response.ok else f"answers {response.status}"
