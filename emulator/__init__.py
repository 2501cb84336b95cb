"""A local emulator of a Workers-style runtime. The command line is `emulator`; tests import `emulator.testing`."""
