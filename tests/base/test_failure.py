from __future__ import annotations

from pathlib import Path
from textwrap import dedent
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.base.errors import WorkerLoadError
from emulator.base.failure import (
    MAX_ERROR_BYTES,
    MAX_FRAMES_WITH_VARIABLES,
    MAX_TRACEBACK_BYTES,
    Failure,
    Frame,
    limited,
    plain_name,
)
from emulator.base.secrets import Secrets
from emulator_runtime.errors import BodyUsedError

if TYPE_CHECKING:
    from tests.hosts.python.support import Loading, WriteFiles


CODE = """\
import json

class Broken(Exception):
    def __str__(self):
        raise ValueError

class Own(Exception): ...

def parse(text):
    return json.loads(text)

def chained():
    try:
        parse("{")
    except ValueError as error:
        raise Own("bad text") from error

def group():
    raise ExceptionGroup("several", [Own("one"), ValueError("two")])

def unprintable():
    raise Broken

def compiled():
    compile("x = (", "given.py", "exec")

def raised(text):
    try:
        parse("{")
    except ValueError as error:
        raise Own(text) from error
"""


def failure_of(write: WriteFiles, loading: Loading, function: str, *arguments: str) -> tuple[Failure, Path]:
    root = write({"entry.py": CODE})
    module = loading.load(root / "entry.py")
    with pytest.raises(Exception) as caught:  # noqa: PT011 - what it is, is what the test looks at
        getattr(module, function)(*arguments)
    return Failure.from_exception(caught.value, root), root


def test_frames_of_the_user_are_told_from_those_of_libraries(write: WriteFiles, loading: Loading) -> None:
    failure, root = failure_of(write, loading, "parse", "{")
    own = [frame for frame in failure.frames if frame.is_user]
    assert [(frame.line, frame.function, frame.code) for frame in own] == [(10, "parse", "return json.loads(text)")]
    assert failure.type == "json.decoder.JSONDecodeError"
    assert failure.location == f"{root / 'entry.py'}:10"
    assert failure.frames[-1].file.endswith("json/decoder.py")
    assert own[0].context(1) == [(9, "def parse(text):"), (10, "    return json.loads(text)"), (11, "")]


def test_an_exception_of_the_worker_is_named_as_it_wrote_it_and_causes_are_shown(
    write: WriteFiles, loading: Loading
) -> None:
    failure, _ = failure_of(write, loading, "chained")
    assert failure.summary == "Own: bad text"
    assert failure.text.endswith("\nentry.Own: bad text")
    assert "json.decoder.JSONDecodeError" in failure.text
    assert "The above exception was the direct cause" in failure.text
    assert "@" not in failure.text


def test_frames_of_the_emulator_are_left_out(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "import other", "other.py": "import deep", "deep.py": "1 / 0"})
    with pytest.raises(ZeroDivisionError) as caught:
        loading.load(root / "entry.py")
    failure = Failure.from_exception(caught.value, root)
    assert [Path(frame.file).name for frame in failure.frames if frame.is_user] == ["entry.py", "other.py", "deep.py"]
    assert "emulator/hosts" not in failure.text.replace("tests/hosts", "")


def test_a_syntax_error_is_at_the_line_that_is_wrong(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "import other\n", "other.py": "x = 1\ny = (\n"})
    with pytest.raises(SyntaxError) as caught:
        loading.load(root / "entry.py")
    failure = Failure.from_exception(caught.value, root)
    assert failure.summary == "SyntaxError: '(' was never closed"
    assert failure.location == f"{root / 'other.py'}:2"
    assert failure.frames[-1].code == "y = ("


def test_a_syntax_error_in_a_text_without_a_file_keeps_the_users_place(write: WriteFiles, loading: Loading) -> None:
    failure, root = failure_of(write, loading, "compiled")
    assert failure.location == f"{root / 'entry.py'}:25"


def test_a_group_and_an_exception_that_cannot_be_printed_are_described(write: WriteFiles, loading: Loading) -> None:
    failure, _ = failure_of(write, loading, "group")
    assert failure.summary == "ExceptionGroup: several (2 sub-exceptions): Own: one"
    assert "ValueError: two" in failure.text
    failure, _ = failure_of(write, loading, "unprintable")
    assert failure.summary == "Broken: <its __str__ raised ValueError>"


def test_code_in_python_modules_is_not_the_users(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "import pkg\npkg.fail()", "python_modules/pkg.py": "def fail():\n    raise KeyError(1)"})
    with pytest.raises(KeyError) as caught:
        loading.load(root / "entry.py")
    failure = Failure.from_exception(caught.value, root)
    assert [(frame.is_user, frame.code) for frame in failure.frames[-2:]] == [
        (True, "pkg.fail()"),
        (False, "raise KeyError(1)"),
    ]
    assert failure.location.endswith("entry.py:2")


def test_frames_of_the_worker_have_their_local_variables_and_those_of_libraries_none(
    write: WriteFiles, loading: Loading
) -> None:
    code = "import json\n\ndef outer(text):\n    count = len(text)\n    return inner(text)\n\n"
    root = write({"entry.py": code + "def inner(text):\n    found = []\n    return json.loads(text)\n"})
    module = loading.load(root / "entry.py")
    with pytest.raises(ValueError, match="Expecting") as caught:
        module.outer("{")
    failure = Failure.from_exception(caught.value, root, Secrets())
    shown = [(frame.function, frame.variables) for frame in failure.frames if frame.variables]
    assert shown == [("outer", {"text": "'{'", "count": "1"}), ("inner", {"text": "'{'", "found": "[]"})]
    assert len(failure.frames) > 2
    assert not any(frame.variables for frame in Failure.from_exception(caught.value, root).frames)


def test_of_a_deep_recursion_the_innermost_frames_have_variables(write: WriteFiles, loading: Loading) -> None:
    root = write({"entry.py": "def down(number):\n    return down(number - 1) if number else 1 / 0\n"})
    module = loading.load(root / "entry.py")
    with pytest.raises(ZeroDivisionError) as caught:
        module.down(50)
    failure = Failure.from_exception(caught.value, root, Secrets())
    numbers = [frame.variables["number"] for frame in failure.frames if frame.variables]
    assert numbers == [str(number) for number in range(MAX_FRAMES_WITH_VARIABLES - 1, -1, -1)]


CHAIN = """
def connect(address):
    port = 25
    raise ConnectionError(f"no {address}")

def send(address):
    try:
        connect(address)
    except ConnectionError as error:
        wanted = True
        raise RuntimeError("not sent") from error

def again(address):
    try:
        send(address)
    except RuntimeError:
        tries = 2
        raise KeyError(address)

def hides(address):
    try:
        connect(address)
    except ConnectionError:
        raise LookupError from None
"""


def test_what_led_to_an_exception_has_its_frames_and_their_variables(write: WriteFiles, loading: Loading) -> None:
    module = loading.load((root := write({"entry.py": CHAIN})) / "entry.py")
    with pytest.raises(KeyError) as caught:
        module.again("mail.example")
    secrets = Secrets()
    secrets.add("HOST", "mail.example")
    failure = Failure.from_exception(caught.value, root, secrets)
    assert [(frame.function, frame.error) for frame in failure.frames if frame.is_user] == [("again", "")]
    assert [(frame.error, frame.function) for frame in failure.behind] == [
        ("RuntimeError: not sent", "send"),
        ("ConnectionError: no mail.example", "connect"),
    ]
    assert failure.behind[1].variables == {"address": "'(secret HOST)'", "port": "25"}
    assert failure.without(secrets).behind[1].error == "ConnectionError: no (secret HOST)"
    with pytest.raises(LookupError) as hidden:
        module.hides("mail.example")
    assert Failure.from_exception(hidden.value, root).behind == ()


GROUP = """
import asyncio

async def one(number):
    if number:
        raise ValueError(number)
    raise LookupError("nothing")

async def both():
    async with asyncio.TaskGroup() as group:
        group.create_task(one(0))
        group.create_task(one(7))
"""


async def test_the_place_of_a_group_of_exceptions_is_that_of_its_first(write: WriteFiles, loading: Loading) -> None:
    module = loading.load((root := write({"entry.py": GROUP})) / "entry.py")
    with pytest.raises(ExceptionGroup) as caught:
        await module.both()
    failure = Failure.from_exception(caught.value, root, Secrets())
    own = [(frame.function, frame.line) for frame in failure.frames if frame.is_user]
    assert own == [("both", 10), ("one", 7)]
    assert failure.location.endswith("entry.py:7")
    assert failure.summary == "ExceptionGroup: unhandled errors in a TaskGroup (2 sub-exceptions): LookupError: nothing"
    assert [(frame.error, frame.line, frame.variables) for frame in failure.behind] == [
        ("ValueError: 7", 6, {"number": "7"})
    ]


def test_a_long_chain_of_exceptions_has_a_few_frames(write: WriteFiles, loading: Loading) -> None:
    code = """
        def down(number):
            try:
                down(number - 1) if number else 1 / 0
            except Exception as error:
                raise ValueError(number) from error
    """
    module = loading.load((root := write({"entry.py": dedent(code)})) / "entry.py")
    with pytest.raises(ValueError, match="20") as caught:
        module.down(20)
    failure = Failure.from_exception(caught.value, root, Secrets())
    assert [frame.error for frame in failure.behind] == [f"ValueError: {number}" for number in (19, 18, 17, 16)]


def test_an_error_of_the_configuration_is_its_text() -> None:
    failure = Failure.from_exception(WorkerLoadError("no entrypoint", where="entry.py", hint="add one"))
    assert failure.summary == failure.text == "entry.py: no entrypoint\n  add one"
    assert failure.location == ""


def test_an_error_of_the_runtime_is_shown_without_the_module_that_it_is_from() -> None:
    failure = Failure.from_exception(BodyUsedError())
    assert (failure.summary, failure.text) == ("BodyUsedError: Body already used", "BodyUsedError: Body already used")


def test_only_a_whole_suffix_is_taken_off_a_name() -> None:
    assert plain_name("utils@sign-up#3.sub, 'a@b#12'") == "utils.sub, 'a'"
    assert plain_name("me@example.com, #3, a@b#c") == "me@example.com, #3, a@b#c"


def test_half_of_a_surrogate_pair_is_the_replacement_character_in_every_text(
    write: WriteFiles, loading: Loading
) -> None:
    failure, _ = failure_of(write, loading, "raised", "a \ud83d b")
    assert failure.summary == "Own: a \ufffd b"
    assert failure.text.endswith("Own: a \ufffd b")
    assert Failure("\udfff", "\ud800", (), "\udc00") == Failure("\ufffd", "\ufffd", (), "\ufffd")
    frame = Frame("/caf\udce9.py", 1, "f\ud800", "x = '\ud800'", is_user=True)
    assert (frame.file, frame.function, frame.code) == ("/caf\ufffd.py", "f\ufffd", "x = '\ufffd'")


def test_an_error_that_is_too_long_is_cut_in_the_middle_and_says_so(write: WriteFiles, loading: Loading) -> None:
    failure, root = failure_of(write, loading, "raised", "begin " + "x" * 200_000 + " end")
    assert len(failure.summary.encode()) <= MAX_ERROR_BYTES
    assert failure.summary.startswith("Own: begin xxx")
    assert " bytes left out ...] xxx" in failure.summary
    assert failure.summary.endswith("xxx end")
    assert len(failure.text.encode()) <= MAX_TRACEBACK_BYTES
    assert f'File "{root / "entry.py"}", line 31, in raised' in failure.text
    assert "JSONDecodeError: Expecting property name" in failure.text
    assert failure.text.endswith("xxx end")


def test_a_traceback_of_many_causes_is_cut_in_the_middle() -> None:
    error: BaseException = ValueError("the first " + "x" * 3_000)
    for number in range(30):
        outer = ValueError(f"number {number} " + "x" * 3_000)
        outer.__cause__ = error
        error = outer
    text = Failure.from_exception(error).text
    assert MAX_TRACEBACK_BYTES - 10 < len(text.encode()) <= MAX_TRACEBACK_BYTES
    assert "ValueError: the first" in text
    assert text.endswith("number 29 " + "x" * 3_000)
    assert " bytes left out ...] " in text


@given(st.text(st.characters(exclude_categories=()), max_size=400), st.integers(100, 700))
def test_a_limit_is_kept_for_any_text(text: str, max_bytes: int) -> None:
    short = limited(text, max_bytes)
    encoded = short.encode()
    assert len(encoded) <= max_bytes
    whole = text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    if len(whole.encode()) <= max_bytes:
        assert short == whole
    else:
        start, _, rest = short.partition(" [... ")
        left_out, _, end = rest.partition(" bytes left out ...] ")
        assert whole.startswith(start)
        assert whole.endswith(end)
        assert len(start.encode()) + int(left_out.replace(",", "")) + len(end.encode()) == len(whole.encode())


@pytest.mark.parametrize(
    ("code", "marked"),
    [
        ("def f():\n    return 1 +\n", ("return 1 +", " ", "")),
        ("if True:\n    x = (1,\n    y z\n", ("x = ", "(", "1,")),
        ("x = 'é' 'a' b\n", ("x = 'é' 'a' ", "b", "")),
        ("def f(:\n  pass\n", ("def f(", ":", "")),
    ],
)
def test_a_syntax_error_says_which_part_of_its_line_is_wrong(
    tmp_path: Path, code: str, marked: tuple[str, str, str]
) -> None:
    file = tmp_path / "entry.py"
    file.write_text(code)
    with pytest.raises(SyntaxError) as caught:
        compile(code, str(file), "exec")
    assert Failure.from_exception(caught.value, tmp_path).frames[-1].marked() == marked


def test_another_error_marks_nothing() -> None:
    assert Frame("/app/entry.py", 1, "f", "1 / 0", True, ["    1 / 0\n"]).marked() == ("1 / 0", "", "")
