"""The worker with a bucket that the emulator runs. It does what ../r2-javascript/index.js does; keep the two alike."""

from urllib.parse import parse_qs, urlsplit

from workers import Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request):
        url = urlsplit(request.url)
        size = parse_qs(url.query).get("bytes", [""])[0]
        match url.path:
            case "/ok":
                return Response("ok")
            case "/put":
                await self.env.FILES.put(size, bytes(int(size)))
                return Response("kept")
            case "/get":
                return Response((await self.env.FILES.get(size)).body)
            case _:
                return Response("not found", status=404)
