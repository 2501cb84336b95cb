"""One script against R2 as workers of ours see it, in both languages, and against Miniflare."""

from __future__ import annotations

import hashlib
import json
import shutil
import subprocess
from base64 import b64encode
from pathlib import Path
from typing import Any

import pytest

from emulator.testing import Emulator
from tests.support.node_tools import ESBUILD, MINIFLARE, WORKERD, needs_node, tool

HERE = Path(__file__).parent

MINIFLARE_SHOWS_EMPTY_METADATA = {"list what it shows", "list with http metadata", "write unknown metadata"}
"""Steps in which Miniflare has empty metadata where nobody has asked for it, and where production has none."""

MINIFLARE_KNOWS_NO_KEYS = {
    *("key: put", "key: head", "key: get without", "key: get with another", "key: get what needs none"),
    *("key: an upload", "key: a part without", "key: a part with another"),
}
"""Steps in which Miniflare ignores `ssecKey`."""


def project(directory: Path, script: str, name: str = "r2") -> Path:
    directory.mkdir()
    main = "index.js" if script.endswith("js") else "entry.py"
    shutil.copy(HERE / script, directory / main)
    configuration = {
        "name": name,
        "main": main,
        "compatibility_date": "2026-04-01",
        "compatibility_flags": ["python_workers"] if main == "entry.py" else [],
        "r2_buckets": [{"binding": "BUCKET", "bucket_name": "conformance"}],
    }
    path = directory / "wrangler.jsonc"
    path.write_text(json.dumps(configuration))
    return path


def ours(path: Path) -> dict[str, Any]:
    with Emulator(path) as emulator:
        results: dict[str, Any] = emulator.get("/").json()
        return results


@pytest.fixture(scope="module", autouse=True)
def tools(tmp_path_factory: pytest.TempPathFactory) -> Any:
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(tmp_path_factory.mktemp("cache")))
        patch.setenv("EMULATOR_WORKERD", str(tool(WORKERD)))
        patch.setenv("EMULATOR_ESBUILD", str(tool(ESBUILD)))
        yield


@pytest.fixture(scope="module")
def in_javascript(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    return ours(project(tmp_path_factory.mktemp("js") / "r2", "script.js"))


@needs_node
def test_javascript_sees_what_miniflare_shows(in_javascript: dict[str, Any], newest_node: str) -> None:
    command = [newest_node, str(HERE / "miniflare.mjs"), str(tool(MINIFLARE)), str(HERE / "script.js")]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    theirs = json.loads(done.stdout)
    assert list(theirs) == list(in_javascript)
    different = {name for name in theirs if theirs[name] != in_javascript[name]}
    assert different == MINIFLARE_SHOWS_EMPTY_METADATA | MINIFLARE_KNOWS_NO_KEYS
    assert in_javascript["list what it shows"][0]["httpMetadata"] is None
    assert in_javascript["write unknown metadata"].startswith("TypeError: HTTP metadata unknown for key `meta`.")


@needs_node
def test_python_sees_what_javascript_does(in_javascript: dict[str, Any], tmp_path: Path) -> None:
    in_python = ours(project(tmp_path / "py", "script.py.txt"))
    assert list(in_python) == list(in_javascript)
    for name, expected in in_javascript.items():
        assert in_python[name] == (None if expected == "undefined" else expected), name


@needs_node
def test_an_object_that_was_kept_with_a_key_is_read_with_it_only(in_javascript: dict[str, Any]) -> None:
    results = {name.removeprefix("key: "): value for name, value in in_javascript.items() if name.startswith("key: ")}
    md5 = b64encode(hashlib.md5(bytes(range(32))).digest()).decode()
    assert (results["put"]["ssecKeyMd5"], results["head"]["ssecKeyMd5"]) == (md5, md5)
    assert (results["get"], results["get by bytes"], results["replaced by none"]) == ("abc", "bc", "open")
    assert results["get without"].startswith(
        "Error: get: The object was stored using a form of Server Side Encryption."
    )
    assert results["get with another"] == "Error: get: Access Denied. (10003)"
    assert results["get what needs none"].endswith("encryption parameters are not applicable to this object. (10029)")
    assert results["too short"] == results["bytes too short"] == "Error: SSE-C Key must be 32 bytes in length"
    assert results["no digits"] == "Error: SSE-C Key has invalid format"
    assert results["a part without"] == results["a part with another"]
    assert results["a part without"].startswith("Error: uploadPart: The provided encryption parameters did not match")


STREAMING_JS = """
export default {
  async fetch(request, env) {
    if (request.method === "PUT") {
      const object = await env.BUCKET.put("large", request.body);
      return Response.json([object.size, object.etag]);
    }
    return new Response((await env.BUCKET.get("large")).body);
  },
};
"""
STREAMING_PY = """
from workers import Response, WorkerEntrypoint
class Default(WorkerEntrypoint):
    async def fetch(self, request):
        if request.method == "PUT":
            found = await self.env.BUCKET.put("large", request.body)
            return Response.json([found.size, found.etag])
        return Response((await self.env.BUCKET.get("large")).body)
"""


@needs_node
def test_what_one_language_streams_in_the_other_streams_out(tmp_path: Path) -> None:
    python, js = project(tmp_path / "py", "script.py.txt"), project(tmp_path / "js", "script.js", "js")
    (python.parent / "entry.py").write_text(STREAMING_PY)
    (js.parent / "index.js").write_text(STREAMING_JS)
    large = bytes(range(256)) * 800  # a file, and what the kit receives while the handler runs
    with Emulator([python, js]) as emulator:
        for here, there in (
            ("http://localhost/", "http://js.localhost/"),
            ("http://js.localhost/", "http://localhost/"),
        ):
            size, _ = emulator.put(here, content=large).json()
            assert size == len(large)
            answer = emulator.get(there)
            assert answer.content == large
            emulator.r2("BUCKET").delete("large")
