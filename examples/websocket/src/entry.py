"""Counts the words of a text while it is being typed."""

import asyncio

from fastapi import FastAPI, WebSocket, WebSocketDisconnect
from fastapi.responses import HTMLResponse
from page import PAGE
from workers import asgi

IDLE_SECONDS = 300
IDLE_CODE = 4000

app = FastAPI()


@app.get("/", response_class=HTMLResponse)
async def page():
    return PAGE


@app.websocket("/live")
async def live(socket: WebSocket):
    await socket.accept()
    try:
        while True:
            text = await asyncio.wait_for(socket.receive_text(), IDLE_SECONDS)
            await socket.send_json({"words": len(text.split()), "characters": len(text)})
    except TimeoutError:
        await socket.close(IDLE_CODE, "nothing was typed for five minutes")
    except WebSocketDisconnect:
        print("the page was closed")


Default = asgi.entrypoint(app)
