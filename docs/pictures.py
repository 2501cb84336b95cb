"""Makes the picture of the terminal, from the real program: `make pictures` writes docs/terminal.svg."""

from __future__ import annotations

import io
import os
import re
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path
from typing import Final

from rich.console import Console
from rich.text import Text

PICTURE: Final = Path(__file__).parent / "terminal.svg"
WIDTH: Final = 120


def session(emulator: str) -> str:
    """What the terminal shows when someone signs up, and when the mail service refuses one of two people."""
    with tempfile.TemporaryDirectory() as name:
        subprocess.run([emulator, "init", "my-app"], cwd=name, check=True, capture_output=True)
        app = Path(name) / "my-app"
        configuration = app / "wrangler.jsonc"
        configuration.write_text(re.sub(r'("max_batch_timeout": )5', r"\g<1>1", configuration.read_text()))
        environment = {**os.environ, "FORCE_COLOR": "1", "COLUMNS": str(WIDTH), "PYTHONUNBUFFERED": "1"}
        with subprocess.Popen(
            [emulator, "dev", "-p", "0"], cwd=app, env=environment, stdout=subprocess.PIPE, text=True
        ) as process:
            assert process.stdout is not None
            lines: list[str] = []

            def until(text: str) -> None:
                assert process.stdout is not None
                while not lines or text not in re.sub("\x1b\\[[0-9;]*m", "", lines[-1]):
                    lines.append(process.stdout.readline())
                    assert lines[-1], "the emulator has ended"

            until("Ready on")
            url = re.search(r"http://[\d.:]+", lines[-1])
            assert url is not None
            for person in ("ada@example.com", "grace@fail.example"):
                urllib.request.urlopen(f"{url[0]}/signup", data=f"email={person}".encode()).read()
            until("To look inside")
            mail = app / "src/mail.py"
            time.sleep(0.2)
            mail.write_text(mail.read_text().replace("fail.example", "never.example"))
            until("Reloaded")
            process.terminate()
        return "$ emulator dev\n" + "".join(lines).replace(url[0], "http://127.0.0.1:8787")


def main() -> None:
    console = Console(record=True, width=WIDTH, file=io.StringIO())
    console.print(Text.from_ansi(session(str(Path(sys.argv[1]).absolute()))))
    picture = console.export_svg(title="emulator dev", unique_id="terminal")
    picture = re.sub(r"@font-face \{.*?\}", "", picture, flags=re.DOTALL)  # fonts from elsewhere
    PICTURE.write_text(picture.replace("Fira Code, ", ""), encoding="utf-8")


if __name__ == "__main__":
    main()
