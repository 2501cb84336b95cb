"""A test that uses nothing of the emulator's: what such a run takes longer because the plugin is installed."""


def test_nothing_of_the_emulator() -> None:
    assert sum(range(4)) == 6
