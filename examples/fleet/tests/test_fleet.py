"""Both workers in one emulator, which keeps the queue itself: what does not depend on where it is needs no server."""

import pytest

from emulator.testing import Emulator


@pytest.fixture
def fleet(tmp_path):
    with Emulator(["web/wrangler.jsonc", "jobs/wrangler.jsonc"], vars={"DONE": str(tmp_path)}) as emulator:
        yield emulator


def test_each_job_is_done_once(fleet, tmp_path):
    assert fleet.post("/?first=0&count=50").text == "sent\n"
    fleet.run_until_idle()
    done = [int(line) for file in tmp_path.iterdir() for line in file.read_text().split()]
    assert sorted(done) == list(range(50))
    assert fleet.queue("fleet-jobs-dead").messages == []
