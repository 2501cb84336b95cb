"""The worker that the emulator runs. It does what ../javascript/index.js does; keep the two alike."""

import asyncio
import time
from urllib.parse import parse_qs, urlsplit

from workers import Response, WorkerEntrypoint

VERSION = "0"
VALUE = "a small value " * 8

stats = {"sent": 0, "acked": 0, "first": 0.0, "last": 0.0, "read": 0}
waiting: list[asyncio.Future[None]] = []


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = urlsplit(request.url)
        match url.path:
            case "/ok":
                return Response("ok")
            case "/send":
                stats["sent"] += 1
                await self.env.FLOOD.send({"number": 1, "text": "a small message"})
                return Response("sent")
            case "/flood":
                return await self.flood(int(parse_qs(url.query)["batches"][0]))
            case "/roundtrip":
                return await self.roundtrip()
            case "/kv-put":
                await self.env.STORE.put("key", VALUE)
                return Response("kept")
            case "/kv-get":
                return Response(await self.env.STORE.get("key"))
            case "/d1-make" | "/d1-select" | "/d1-insert":
                return await self.query(url.path)
            case "/stats":
                return Response.json(stats)
            case "/version":
                return Response(VERSION)
            case _:
                return Response("not found", status=404)

    async def query(self, path):
        database = self.env.DB
        match path:
            case "/d1-make":
                await database.exec(
                    "DROP TABLE IF EXISTS items; CREATE TABLE items (id INTEGER PRIMARY KEY, text TEXT)"
                )
                await database.prepare("INSERT INTO items VALUES (1, ?)").bind(VALUE).run()
                return Response("made")
            case "/d1-select":
                return Response.json(await database.prepare("SELECT text FROM items WHERE id = ?").bind(1).first())
            case _:
                await database.prepare("INSERT INTO items (text) VALUES (?)").bind(VALUE).run()
                return Response("kept")

    async def flood(self, batches):
        stats["sent"] = batches * 100
        stats["acked"] = 0
        stats["first"] = time.time()
        for _ in range(batches):
            await self.env.FLOOD.sendBatch(
                [{"body": {"number": number, "text": "a small message"}} for number in range(100)]
            )
        return Response("sent")

    async def roundtrip(self):
        arrived = asyncio.get_running_loop().create_future()
        waiting.append(arrived)
        await self.env.LATENCY.send({"text": "a small message"})
        async with asyncio.timeout(10):
            await arrived
        return Response("arrived")

    async def queue(self, batch, env, ctx):
        if batch.queue == "latency":
            while waiting:
                waiting.pop().set_result(None)
            return
        read = 0
        for message in batch.messages:
            read += len(message.body["text"])
            message.ack()
        stats["acked"] += len(batch.messages)
        stats["last"] = time.time()
        stats["read"] = read
