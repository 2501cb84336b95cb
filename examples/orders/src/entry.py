"""Take orders at once, and charge for them in the background.

The payment service is slow, sometimes busy and sometimes down. A queue stands between it and whoever orders.
"""

import json
from urllib.parse import urlsplit

from workers import Response, WorkerEntrypoint, fetch


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.method != "POST" or urlsplit(request.url).path != "/orders":
            return Response.json({"error": "POST /orders"}, status=404)
        try:
            order = await request.json()
            accepted = {"id": str(order["id"]), "cents": int(order["cents"])}
        except (ValueError, KeyError, TypeError):
            return Response.json({"error": "an order has an id and cents"}, status=400)
        await self.env.ORDERS.send(accepted)
        return Response.json({"accepted": accepted["id"]}, status=202)

    async def queue(self, batch, env, ctx):
        for message in batch.messages:
            try:
                answer = await self.charge(message.body)
                if answer.status == 429:  # busy: try this one again when it says
                    message.retry(delaySeconds=int(answer.headers.get("retry-after") or 60))
                    continue
                if not answer.ok:
                    raise ConnectionError(f"the payment service answered {answer.status}")
                message.ack()
            except Exception as error:  # this order alone is tried again; a dead letter keeps the reason
                print(f"order {message.body.id}: {error}")
                message.retry()

    async def charge(self, order):
        # A message may be delivered twice. With its key, the service charges once for however many requests.
        return await fetch(
            f"{self.env.PAYMENTS}/charges",
            method="POST",
            headers={"content-type": "application/json", "idempotency-key": order.id},
            body=json.dumps({"cents": order.cents}),
        )

    async def scheduled(self, controller, env, ctx):
        metrics = await self.env.ORDERS.metrics()
        print(f"{metrics.backlogCount} order(s) wait to be charged")
