"""Invoking a host as the emulator does, whatever language its worker is written in."""

from __future__ import annotations

from emulator.hosts.host import WorkerHost
from emulator.hosts.triggers import FetchTrigger, QueueTrigger, ScheduledTrigger
from emulator.queues.message import Verdict, WorkerDelivery
from emulator_runtime.hosting import FetchResponse, Request


async def fetch(host: WorkerHost, request: Request) -> FetchResponse:
    return await host.invoke("", FetchTrigger(request))


async def deliver(host: WorkerHost, delivery: WorkerDelivery) -> Verdict:
    return await host.invoke("", QueueTrigger(delivery))


async def run_scheduled(host: WorkerHost, cron: str, scheduled_time_ms: int = 0) -> None:
    await host.invoke("", ScheduledTrigger(cron, scheduled_time_ms))
