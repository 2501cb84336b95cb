"""Forms: read from a body, sent as one, and used as a mapping."""

from __future__ import annotations

import pytest

from emulator_runtime.workers import Blob, File, FormData, Request, Response
from tests.runtime.asgi_calls import incoming

BOUNDARY = b"----WebKitFormBoundary7MA4YWxkTrZu0gW"


async def form_of(body: bytes, content_type: str) -> FormData:
    request = incoming(body, headers=[(b"content-type", content_type.encode())])
    return await request.form_data()


async def multipart_of(*parts: bytes, boundary: bytes = BOUNDARY, content_type: str = "") -> FormData:
    body = b"".join(b"--" + boundary + b"\r\n" + part + b"\r\n" for part in parts) + b"--" + boundary + b"--\r\n"
    return await form_of(body, content_type or f"multipart/form-data; boundary={boundary.decode()}")


async def test_an_urlencoded_form() -> None:
    form = await form_of(b"name=Ada+L&name=%C3%A9&empty=&x=a%26b", "application/x-www-form-urlencoded;charset=UTF-8")
    assert form["name"] == "Ada L"
    assert form.get_all("name") == ["Ada L", "é"]
    assert form["empty"] == ""
    assert form["x"] == "a&b"


async def test_a_multipart_form_with_a_binary_file() -> None:
    content = bytes(range(256)) + b"\r\n--not the boundary\r\n\r\n"
    form = await multipart_of(
        'Content-Disposition: form-data; name="titel"\r\n\r\nSchöne Grüße\r\n'.encode(),
        b'Content-Disposition: form-data; name="file"; filename="a.bin"\r\nContent-Type: image/png\r\n\r\n' + content,
    )
    assert form["titel"] == "Schöne Grüße\r\n"
    file = form["file"]
    assert isinstance(file, File)
    assert (file.name, file.content_type, file.size) == ("a.bin", "image/png", len(content))
    assert await file.bytes() == content


async def test_names_in_utf_8_and_with_escapes() -> None:
    form = await multipart_of(
        'content-disposition: form-data; name="größe"; filename="日本.txt"\r\n\r\nx'.encode(),
        b'Content-Disposition: form-data; name="a%22b%0D%0Ac"\r\n\r\n1',
        b'Content-Disposition: form-data; name="a\\"b"\r\n\r\n2',
    )
    assert list(form) == ["größe", 'a"b\r\nc', 'a"b']
    file = form["größe"]
    assert isinstance(file, File)
    assert (file.name, file.content_type) == ("日本.txt", "application/octet-stream")


async def test_a_quoted_boundary_and_padding_and_a_preamble() -> None:
    body = b'preamble\r\n--a b \r\nContent-Disposition: form-data; name="x"\r\n\r\n1\r\n--a b--\r\nepilogue'
    assert (await form_of(body, 'Multipart/Form-Data; charset=utf-8; boundary="a b"'))["x"] == "1"


async def test_an_empty_multipart_form() -> None:
    assert len(await multipart_of()) == 0


@pytest.mark.parametrize(
    ("body", "content_type", "text"),
    [
        (b"{}", "application/json", "FormData can only parse the following MIME types"),
        (b"x", "multipart/form-data", "No boundary string"),
        (
            b"--b\r\nContent-Disposition: form-data; name=a\r\n\r\n1",
            "multipart/form-data; boundary=b",
            "Unexpected end",
        ),
        (b"no delimiter", "multipart/form-data; boundary=b", "Unexpected end"),
        (b"--b\r\nno blank line\r\n--b--", "multipart/form-data; boundary=b", "malformed"),
        (b"--b\r\nX: y\r\n\r\n1\r\n--b--", "multipart/form-data; boundary=b", "no name"),
    ],
)
async def test_a_body_that_is_no_form_is_a_type_error(body: bytes, content_type: str, text: str) -> None:
    with pytest.raises(TypeError, match=text):
        await form_of(body, content_type)


async def test_a_form_without_a_content_type_is_a_type_error() -> None:
    with pytest.raises(TypeError, match="Unrecognized Content-Type"):
        await incoming(b"a=1").form_data()


async def test_a_form_survives_being_sent() -> None:
    form = FormData({"text": "é\r\n--", 'na"me\n': "1"})
    form.append("file", File([b"\x00\xff", "x"], 'a"b.txt', "text/plain"))
    form.append("blob", Blob(b"blob"))
    form.append("blob", Blob(b"blob"), "named")
    for carrier in (Request("https://a", method="POST", body=form), Response(form)):
        again = await carrier.form_data()
        assert again["text"] == "é\r\n--"
        assert again['na"me\n'] == "1"
        file = again["file"]
        assert isinstance(file, File)
        assert (file.name, file.content_type, file.content) == ('a"b.txt', "text/plain", b"\x00\xffx")
        assert [value.name for value in again.get_all("blob") if isinstance(value, File)] == ["blob", "named"]


def test_form_data_is_a_mapping_with_several_values_for_a_name() -> None:
    form = FormData({"a": "1"})
    form.append("a", "2")
    form["b"] = "3"
    assert "a" in form
    assert form.has("b")
    assert form["missing"] is None
    assert list(form.items()) == [("a", "1"), ("a", "2"), ("b", "3")]
    assert list(form.values()) == ["1", "2", "3"]
    form["a"] = "4"
    assert list(form.items()) == [("a", "4"), ("b", "3")]
    form.delete("a")
    del form["b"]
    assert len(form) == 0
    with pytest.raises(TypeError, match="Expected single item"):
        form["a"] = ["1", "2"]  # type: ignore[assignment]
    with pytest.raises(TypeError, match="Expected form_data to be a dict"):
        FormData("a=1")  # type: ignore[arg-type]


async def test_a_blob_is_made_of_parts() -> None:
    blob = Blob(["é", b"\x00", bytearray(b"1"), Blob("x")], "Text/Plain")
    assert await blob.bytes() == b"\xc3\xa9\x001x"
    assert (blob.size, blob.content_type) == (5, "text/plain")
    assert await blob.slice(2, 4).bytes() == b"\x001"
    assert await blob.slice(-1).text() == "x"
    assert Blob(blob).content_type == "text/plain"
    assert Blob(["a\r\nb"], endings="native").content == b"a\nb"
    assert (await blob.arrayBuffer()).to_bytes() == blob.content
    with pytest.raises(TypeError, match="Don't know how to handle"):
        Blob([1])


def test_a_file_has_a_name_and_keeps_what_it_is_made_of() -> None:
    file = File("x", "a.txt", "text/plain", last_modified=5)
    copy = File(file, "b.txt")
    assert (copy.name, copy.content_type, copy.last_modified) == ("b.txt", "text/plain", 5)
    assert File("x", "a").last_modified > 1_600_000_000_000
