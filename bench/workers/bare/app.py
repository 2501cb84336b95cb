"""What uvicorn is measured with: the answer of the other workers to `GET /ok`, and nothing else."""

START = {
    "type": "http.response.start",
    "status": 200,
    "headers": [(b"content-type", b"text/plain;charset=UTF-8"), (b"content-length", b"2")],
}
BODY = {"type": "http.response.body", "body": b"ok"}


async def app(scope, _receive, send):
    if scope["type"] == "http":
        await send(START)
        await send(BODY)
