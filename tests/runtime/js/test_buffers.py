"""Typed arrays as Python code uses them, and as they pass into bodies, files and blobs."""

from __future__ import annotations

import io

import pytest

from emulator_runtime import js
from emulator_runtime.streams import ReadableStream


def test_a_typed_array_is_a_sequence() -> None:
    array = js.Uint8Array.new([1, 2, 3])
    array[-1] = 300
    assert (len(array), array[0], array[-1], 44 in array) == (3, 1, 44, True)
    array[0:2] = [8, 9]
    assert list(array[1:]) == [9, 44]
    assert array[::2] == [8, 44]
    assert repr(array) == "Uint8Array([8, 9, 44])"
    with pytest.raises(IndexError):
        array[3]
    with pytest.raises(ValueError, match="as many numbers"):
        array[0:2] = [1]


def test_its_content_is_seen_by_python_without_a_copy() -> None:
    array = js.Int16Array.new([1, -1])
    view = array.to_py()
    view[0] = 5
    assert (view.format, list(array)) == ("h", [5, -1])
    assert array.to_bytes() == bytes(array) == b"\x05\x00\xff\xff"
    array.assign(b"\x01\x00\x02\x00")
    target = bytearray(4)
    array.assign_to(target)
    assert target == b"\x01\x00\x02\x00"
    file = io.BytesIO()
    array.to_file(file)
    file.seek(0)
    array.fill(0).from_file(file)
    assert list(array) == [1, 2]
    assert js.TextEncoder.new().encode("é").to_string() == "é"
    assert js.Float16Array.new([1.5]).to_memoryview().tobytes() == b"\x00\x3e"


async def test_buffers_are_bodies_chunks_and_parts_of_blobs() -> None:
    floats = js.Float32Array.new([1.5])
    for body in (floats, floats.buffer, js.DataView.new(floats.buffer)):
        assert await js.Response.new(body).bytes() == b"\x00\x00\xc0\x3f"
    assert await js.Request.new("https://a", {"method": "POST", "body": js.Uint8Array.new([65])}).text() == "A"
    assert await js.Blob.new([js.Uint8Array.new([65]), "b"]).text() == "Ab"
    stream = js.ReadableStream.new({"start": lambda controller: controller.enqueue(js.Uint8Array.new([65]))})
    assert await js.Response.new(stream).text() == "A"


async def test_a_body_becomes_an_array() -> None:
    buffer = await js.Response.new(b"\x00\x00\xc0\x3f").arrayBuffer()
    assert isinstance(buffer, js.ArrayBuffer)
    assert list(js.Float32Array.new(buffer)) == [1.5]
    assert js.DataView.new(buffer).getUint8(3) == 0x3F
    assert buffer.slice(-2).to_bytes() == b"\xc0\x3f"
    async for chunk in ReadableStream(b"abc"):
        assert isinstance(chunk, js.Uint8Array)
        array = js.Uint8Array.new(chunk)
        array[0] = 0x78
        assert array.to_bytes() == b"xbc"
        assert chunk.subarray(1).to_bytes() == b"bc"
        assert (chunk.length, chunk.byteOffset, chunk.buffer.byteLength) == (3, 0, 3)


def test_an_error_of_a_range_is_one_of_javascript_and_of_python() -> None:
    with pytest.raises(js.RangeError, match="start offset of Uint16Array should be a multiple of 2"):
        js.Uint16Array.new(js.ArrayBuffer.new(4), 1)
    with pytest.raises(ValueError, match="Offset is outside the bounds of the DataView"):
        js.DataView.new(js.ArrayBuffer.new(1)).getInt16(0)
    with pytest.raises(TypeError, match="must be an ArrayBuffer"):
        js.DataView.new([1])
    with pytest.raises(AttributeError, match="getNothing"):
        js.DataView.new(js.ArrayBuffer.new(1)).getNothing(0)
