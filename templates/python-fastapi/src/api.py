"""The application. A request's scope has the worker's bindings under `env`."""

from typing import Annotated

from fastapi import FastAPI, Request
from pydantic import BaseModel, Field

app = FastAPI(title="My API")


class Order(BaseModel):
    item: str
    quantity: Annotated[int, Field(ge=1, le=100)] = 1


@app.get("/")
async def home() -> dict[str, str]:
    return {"try": "/docs"}


@app.post("/orders", status_code=202)
async def order(order: Order, request: Request) -> Order:
    await request.scope["env"].ORDERS.send(order.model_dump())
    return order
