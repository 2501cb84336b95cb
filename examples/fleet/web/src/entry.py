"""Takes orders for jobs: `POST /?first=0&count=100` sends so many messages, with numbers from `first` on."""

from urllib.parse import parse_qs, urlsplit

from workers import Request, Response, WorkerEntrypoint


class Default(WorkerEntrypoint):
    async def fetch(self, request: Request) -> Response:
        query = parse_qs(urlsplit(request.url).query)
        first, count = int(query["first"][0]), int(query["count"][0])
        try:
            await self.env.JOBS.sendBatch([{"body": {"job": first + number}} for number in range(count)])
        except Exception as error:
            return Response(f"{error}\n", status=503)
        return Response("sent\n")
