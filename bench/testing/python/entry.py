"""The worker under test: a shop that takes orders and ships them later. ../javascript/index.js is the same worker.

`fetch` queues orders; `queue` ships them. What an order is `for` decides how its shipping goes, so that each test can
bring about what it is about.
"""

from urllib.parse import urlsplit

from workers import Response, WorkerEntrypoint

shipped = []
dead = []


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        path = urlsplit(request.url).path
        if path == "/shipped":
            return Response.json(shipped)
        if path == "/dead":
            return Response.json(dead)
        if path not in ("/orders", "/orders/many"):
            return Response("not found", status=404)
        if request.method != "POST":
            return Response("POST an order", status=405)
        given = await request.json()
        orders = given if path == "/orders/many" else [given]
        if not orders or not all(order.get("id") for order in orders):
            return Response.json({"error": "an order needs an id"}, status=400)
        if path == "/orders/many":
            await self.env.ORDERS.sendBatch([{"body": order} for order in orders])
        else:
            await self.env.ORDERS.send(given, delaySeconds=given.get("wait", 0))
        return Response.json({"queued": len(orders)}, status=202)

    async def queue(self, batch, env, ctx):
        if batch.queue == "orders-dead":
            dead.extend({"id": message.body["id"], "with": len(batch.messages)} for message in batch.messages)
            return
        whole = batch.messages[0].body.get("whole")
        if whole == "holiday":
            batch.retryAll(delaySeconds=3600)
            return
        if whole == "pickup":
            batch.ackAll()
            return
        for message in batch.messages:
            self.ship(message, len(batch.messages))

    def ship(self, message, together):
        order = message.body
        match order.get("for"):
            case "nobody":
                raise LookupError(f"order {order['id']} has no address")
            case "later":
                message.retry(delaySeconds=60 * message.attempts)
                return
            case "out of stock":
                message.retry()
                return
            case "second try" if message.attempts == 1:
                message.retry()
                return
        shipped.append({"id": order["id"], "attempts": message.attempts, "with": together})
        message.ack()
