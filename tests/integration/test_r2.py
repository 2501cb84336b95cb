"""R2 in the real program: kept over a restart and `kill -9`, streamed, and used by its real clients."""

from __future__ import annotations

import signal
from collections.abc import Callable, Iterator
from pathlib import Path

import cloudflare
import httpx
import pytest
from cloudflare import Cloudflare

from tests.integration.conftest import ACCOUNT, API, Running, write_worker
from tests.support.node_tools import needs_node

WORKER = """
    from workers import Response, WorkerEntrypoint

    class Default(WorkerEntrypoint):
        async def fetch(self, request):
            name = request.url.rsplit("/", 1)[1]
            if request.method == "PUT":
                await self.env.FILES.put(name, request.body)
            found = await self.env.FILES.get(name)
            return Response("nothing") if found is None else Response(found.body)
"""
BUCKETS = [{"binding": "FILES", "bucket_name": "files"}]
LARGE = bytes(range(256)) * 12_000


@pytest.fixture
def session(dev: Callable[..., Running], tmp_path: Path) -> Running:
    write_worker(tmp_path, WORKER, r2_buckets=BUCKETS)
    return dev(tmp_path)


@pytest.fixture
def sdk(session: Running) -> Iterator[Cloudflare]:
    with Cloudflare(api_token="x", base_url=f"{session.url}{API}") as made:
        yield made


def test_objects_survive_kill_9(dev: Callable[..., Running], session: Running, tmp_path: Path) -> None:
    answer = httpx.put(f"{session.url}/large", content=LARGE)
    assert answer.content == LARGE
    assert answer.headers["content-length"] == str(len(LARGE))
    assert httpx.put(f"{session.url}/small", content=b"one").content == b"one"
    session.end(signal.SIGKILL)
    again = dev(tmp_path)
    assert httpx.get(f"{again.url}/large").content == LARGE
    assert httpx.get(f"{again.url}/small").content == b"one"
    assert again.end() == 0
    assert httpx.get(f"{dev(tmp_path, '--no-persist').url}/small").text == "nothing"


def test_the_sdk_reads_and_writes(sdk: Cloudflare, session: Running) -> None:
    buckets = sdk.r2.buckets
    assert [each.name for each in buckets.list(account_id=ACCOUNT).buckets or ()] == ["files"]
    objects = buckets.objects
    made = objects.upload("a/b é", LARGE, account_id=ACCOUNT, bucket_name="files")
    assert made.size == str(len(LARGE))
    got = objects.get("a/b é", account_id=ACCOUNT, bucket_name="files")
    assert got.read() == LARGE
    assert got.headers["etag"] == f'"{made.etag}"'
    for key in ("a/c", "d"):
        objects.upload(key, b"x", account_id=ACCOUNT, bucket_name="files", extra_headers={"Content-Type": "text/x"})
    listed = list(objects.list("files", account_id=ACCOUNT, per_page=2))
    assert [(each.key, each.size) for each in listed] == [("a/b é", len(LARGE)), ("a/c", 1), ("d", 1)]
    assert listed[1].http_metadata is not None
    assert listed[1].http_metadata.content_type == "text/x"
    address = f"{session.url}{API}/accounts/{ACCOUNT}/r2/buckets/files/objects/a/c"
    head = {"authorization": "Bearer x"}
    assert httpx.get(address, headers={**head, "if-none-match": f'"{listed[1].etag}"'}).status_code == 304
    part = httpx.get(address.replace("a/c", "a/b é"), headers={**head, "range": "bytes=1-3"})
    assert (part.status_code, part.content) == (206, b"\1\2\3")
    assert part.headers["content-range"] == f"bytes 1-3/{len(LARGE)}"
    with pytest.raises(cloudflare.ConflictError, match="not empty"):
        buckets.delete("files", account_id=ACCOUNT)
    objects.delete("d", account_id=ACCOUNT, bucket_name="files")
    with pytest.raises(cloudflare.NotFoundError, match="The specified key does not exist"):
        objects.get("d", account_id=ACCOUNT, bucket_name="files")
    with pytest.raises(cloudflare.NotFoundError, match="The specified bucket does not exist"):
        objects.get("d", account_id=ACCOUNT, bucket_name="absent")
    created = buckets.create(account_id=ACCOUNT, name="more-files")
    assert created.name == "more-files"
    for name in ("more-files", "No"):
        with pytest.raises(cloudflare.APIStatusError, match=r"already exists|not valid"):
            buckets.create(account_id=ACCOUNT, name=name)
    assert buckets.get("more-files", account_id=ACCOUNT).creation_date == created.creation_date
    buckets.delete("more-files", account_id=ACCOUNT)


@needs_node
def test_wrangler_r2_works_unchanged(session: Running, wrangler: Callable[..., str], tmp_path: Path) -> None:
    (tmp_path / "large").write_bytes(LARGE)
    wrangler("r2", "object", "put", "files/a", "--remote", "--file", "large", "--content-type", "text/x")
    assert httpx.get(f"{session.url}/a").content == LARGE
    wrangler("r2", "object", "get", "files/a", "--remote", "--file", "got")
    assert (tmp_path / "got").read_bytes() == LARGE
    wrangler("r2", "object", "delete", "files/a", "--remote")
    assert httpx.get(f"{session.url}/a").text == "nothing"
    wrangler("r2", "bucket", "create", "more-files")
    listed = wrangler("r2", "bucket", "list")
    assert "more-files" in listed
    wrangler("r2", "bucket", "delete", "more-files")
