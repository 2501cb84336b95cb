"""Invoking a host as the emulator does, whatever language its worker is written in."""

from __future__ import annotations

from emulator.hosts.host import Host
from emulator.hosts.triggers import FetchTrigger, QueueTrigger, ScheduledTrigger
from emulator.queues.message import Delivery, Verdict
from emulator_runtime.hosting import FetchResponse, Request


async def fetch(host: Host, request: Request) -> FetchResponse:
    return await host.invoke("", FetchTrigger(request))


async def deliver(host: Host, delivery: Delivery) -> Verdict:
    return await host.invoke("", QueueTrigger(delivery))


async def run_scheduled(host: Host, cron: str, scheduled_time_ms: int = 0) -> None:
    await host.invoke("", ScheduledTrigger(cron, scheduled_time_ms))
