from __future__ import annotations

from emulator.hosts.activity import Activity


class Process:
    """Another process that runs worker code, as an activity asks about it."""

    def __init__(self, calls: int, descriptors: set[int]) -> None:
        self.calls_under_way = calls
        self.rested = 0
        self._descriptors = descriptors

    def owns(self, descriptor: int) -> bool:
        return descriptor in self._descriptors

    async def rest(self) -> None:
        self.rested += 1


async def test_without_other_processes_there_is_nothing_to_wait_for() -> None:
    activity = Activity()
    assert activity.calls_under_way == 0
    assert not activity.owns(3)
    await activity.rest()


async def test_what_all_processes_do_is_told_together() -> None:
    processes = [Process(1, {3}), Process(2, {4, 5})]
    activity = Activity()
    for process in processes:
        activity.add(process)
    assert activity.calls_under_way == 3
    assert [activity.owns(descriptor) for descriptor in (3, 5, 6)] == [True, True, False]
    await activity.rest()
    assert [process.rested for process in processes] == [1, 1]
