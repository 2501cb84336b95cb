"""`python -m emulator` is the same program as `emulator`."""

import sys
from pathlib import Path

if __name__ == "__main__":
    # `python -m` makes the working directory importable, and so what lies beside a worker's configuration. The
    # installed # command does not.
    if Path(sys.path[0]).resolve() != Path(__file__).resolve().parent.parent:
        del sys.path[0]

    from emulator.cli import main

    main()
