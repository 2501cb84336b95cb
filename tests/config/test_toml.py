"""TOML: the offsets of keys and values in every form that a path can take."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from emulator.config.document import DocumentSyntaxError, format_path
from emulator.config.toml import parse

NEAR_TOML = st.text(st.sampled_from(list("ab.=[]{}\"'\\#,1-: \n\r")), max_size=40)


def test_values_are_found_in_tables_arrays_of_tables_dotted_keys_and_inline_tables() -> None:
    text = """\
# a comment with = and [brackets]
name = "demo" # name = "no"
text = \"\"\"
[not.a.table]
x = 1 \"\"\"\"
literal = '''it's = [x]'''
limits.cpu_ms = 50
vars = { A = 1, "b c" = { d.e = [1, 'x]', 3] } }
flags = [
  "one", # two = 2
  "two",
]

[dev]
port = 1

[[queues.producers]]
binding = "A"
[[queues.producers]]
binding = "B"

[[queues.consumers]]
queue = "a"
[queues.consumers.more]
x = 2

[env."my env".vars]
"k\\u0065y" = 3
"""
    document = parse(text, "wrangler.toml")
    expected = {
        "name": '"demo"',
        "text": '"""',
        "literal": "'''it's",
        "limits.cpu_ms": "50",
        "vars.A": "1,",
        'vars."b c".d.e[1]': "'x]'",
        'vars."b c".d.e[2]': "3]",
        "flags[1]": '"two"',
        "dev": "[dev]",
        "dev.port": "1\n",
        "queues.producers": '[[queues.producers]]\nbinding = "A"',
        "queues.producers[0].binding": '"A"',
        "queues.producers[1]": '[[queues.producers]]\nbinding = "B"',
        "queues.producers[1].binding": '"B"',
        "queues.consumers[0].queue": '"a"',
        "queues.consumers[0].more.x": "2\n",
        'env."my env".vars.key': "3\n",
    }
    offsets = {format_path(path): at for path, at in document.values.items()}
    assert {key: text[offsets[key] :][: len(start)] for key, start in expected.items()} == expected
    keys = {format_path(path): at for path, at in document.keys.items()}
    assert text[keys["limits.cpu_ms"] :].startswith("cpu_ms")
    assert text[keys['env."my env"'] :].startswith('"my env"')


def test_a_table_inside_an_element_of_an_array_belongs_to_that_element() -> None:
    document = parse("[[a]]\n[a.b]\nx = 1\n[[a.c]]\n[[a]]\n[[a.c]]\ny = 2\n[[a.c]]\n")
    assert document.data == {"a": [{"b": {"x": 1}, "c": [{}]}, {"c": [{"y": 2}, {}]}]}
    assert {"a[0].b.x", "a[0].c[0]", "a[1].c[0].y", "a[1].c[1]"} <= set(map(format_path, document.values))


@given(st.text() | NEAR_TOML)
def test_any_text_is_parsed_with_a_place_for_every_value_or_refused_with_one(text: str) -> None:
    try:
        document = parse(text)
    except DocumentSyntaxError as error:
        offset = error.offset
    else:
        offset = 0
        assert set(_paths(document.data)) <= document.values.keys()
    assert 0 <= offset <= len(text)


def _paths(value: object, path: tuple[str | int, ...] = ()) -> list[tuple[str | int, ...]]:
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    return [path, *(inner for key, item in items for inner in _paths(item, (*path, key)))]


@pytest.mark.parametrize(
    ("text", "offset"),
    [("a = 1\nb = ", 10), ("a = 1\na = 2", 11), ("a = [1,", 7), ("x = " + "9" * 5000, 0), ("x = " + "[" * 5000, 0)],
)
def test_what_is_not_toml_is_refused_at_its_place(text: str, offset: int) -> None:
    with pytest.raises(DocumentSyntaxError) as caught:
        parse(text)
    assert caught.value.offset == offset
