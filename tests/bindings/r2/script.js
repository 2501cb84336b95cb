// What a worker sees of R2: each step's result, or the words of its error. Run by workerd with our store, by workerd with
// Miniflare's, and, translated by hand, in Python.
const shown = (object) => {
  if (object === null || object === undefined || typeof object !== "object") return object === undefined ? "undefined" : object;
  if (object instanceof ArrayBuffer || ArrayBuffer.isView(object)) return [...new Uint8Array(object.buffer ?? object)];
  if (Array.isArray(object)) return object.map(shown);
  if (!("httpEtag" in object)) return object;
  return {
    key: object.key,
    size: object.size,
    etag: object.etag,
    httpEtag: object.httpEtag,
    version: typeof object.version,
    uploaded: object.uploaded instanceof Date,
    httpMetadata: object.httpMetadata ?? null,
    customMetadata: object.customMetadata ?? null,
    range: object.range ?? null,
    checksums: object.checksums.toJSON(),
    hasBody: "body" in object,
    ssecKeyMd5: object.ssecKeyMd5 ?? null,
  };
};

const read = async (call) => {
  try {
    return shown(await call());
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

const MB5 = 5 * 1024 * 1024;
const HEX = "900150983cd24fb0d6963f7d28e17f72"; // the MD5 of abc
const SHA1 = "a9993e364706816aba3e25717850c26c9cd0d89d";
const KEY = "000102030405060708090a0b0c0d0e0f101112131415161718191a1b1c1d1e1f";
const OTHER_KEY = new Uint8Array(32).fill(7);
const AT = new Date("2030-01-02T03:04:05.678Z");

export const steps = (r2) => {
  let upload;
  let parts = [];
  const text = async (key, options) => {
    const object = await r2.get(key, options);
    return object === null ? null : "body" in object ? await object.text() : "no body";
  };
  const names = async (options) => {
    const page = await r2.list(options);
    return [page.objects.map((each) => each.key), page.delimitedPrefixes, page.truncated, page.cursor === undefined];
  };
  return {
    "get absent": () => r2.get("absent"),
    "head absent": () => r2.head("absent"),
    "put text": () => r2.put("abc", "abc"),
    "head": () => r2.head("abc"),
    "get": () => r2.get("abc"),
    "get text": () => text("abc"),
    "get bytes": async () => (await r2.get("abc")).arrayBuffer(),
    "get json": async () => {
      await r2.put("json", '{"a":[1,null]}');
      return (await r2.get("json")).json();
    },
    "get blob": async () => {
      await r2.put("blob", "x", { httpMetadata: { contentType: "text/x" } });
      const blob = await (await r2.get("blob")).blob();
      return [blob.type, await blob.text()];
    },
    "body used": async () => {
      const object = await r2.get("abc");
      const before = object.bodyUsed;
      await object.text();
      return [before, object.bodyUsed];
    },
    "read twice": async () => {
      const object = await r2.get("abc");
      await object.text();
      return object.text();
    },
    "put bytes": () => r2.put("bytes", new Uint8Array([0, 255, 10])),
    "put null": () => r2.put("null", null),
    "get null": () => text("null"),
    "put stream": async () => r2.put("stream", new Response("streamed").body),
    "get streamed": () => text("stream"),
    "put blob": () => r2.put("blob2", new Blob(["in a blob"])),
    "put stream of unknown length": () => r2.put("unknown", new TransformStream().readable),
    "put a copy": async () => r2.put("copy", (await r2.get("abc")).body),
    "put with metadata": () =>
      r2.put("meta", "x", {
        httpMetadata: {
          contentType: "text/plain",
          contentLanguage: "en",
          contentDisposition: "inline",
          contentEncoding: "identity",
          cacheControl: "no-store",
          cacheExpiry: AT,
        },
        customMetadata: { who: "Ada é", n: "1" },
      }),
    "head with metadata": () => r2.head("meta"),
    "metadata of headers": async () => {
      const headers = new Headers({ "content-type": "text/h", "expires": "Wed, 02 Jan 2030 03:04:05 GMT" });
      await r2.put("headers", "x", { httpMetadata: headers });
      return r2.head("headers");
    },
    "write metadata": async () => {
      const headers = new Headers();
      (await r2.head("meta")).writeHttpMetadata(headers);
      return [...headers];
    },
    "put with md5": () => r2.put("md5", "abc", { md5: HEX }),
    "put with sha1": () => r2.put("sha1", "abc", { sha1: SHA1 }),
    "head with sha1": () => r2.head("sha1"),
    "checksum as bytes": async () => (await r2.head("sha1")).checksums.md5,
    "wrong md5": () => r2.put("md5", "abcd", { md5: HEX }),
    "wrong sha1": () => r2.put("md5", "abcd", { sha1: SHA1 }),
    "short md5": () => r2.put("md5", "abc", { md5: "aa" }),
    "md5 that is not hexadecimal": () => r2.put("md5", "abc", { md5: "z".repeat(32) }),
    "md5 of other bytes": () => r2.put("md5", "abc", { md5: new Uint8Array(3) }),
    "two hashes": () => r2.put("md5", "abc", { md5: HEX, sha1: SHA1 }),
    "range": () => text("stream", { range: { offset: 2, length: 3 } }),
    "range told": () => r2.get("stream", { range: { offset: 2, length: 3 } }),
    "range to the end": () => text("stream", { range: { offset: 5 } }),
    "range of a length": () => text("stream", { range: { length: 2 } }),
    "range too long": () => r2.get("stream", { range: { offset: 5, length: 100 } }),
    "suffix": () => text("stream", { range: { suffix: 2 } }),
    "suffix too long": () => r2.get("stream", { range: { suffix: 200 } }),
    "suffix of nothing": () => text("stream", { range: { suffix: 0 } }),
    "range of nothing": () => text("stream", { range: { offset: 1, length: 0 } }),
    "range behind the end": () => text("stream", { range: { offset: 9 } }),
    "range at the end": () => text("stream", { range: { offset: 8 } }),
    "range below zero": () => text("stream", { range: { offset: -1 } }),
    "range of a fraction": () => text("stream", { range: { offset: 1.5 } }),
    "suffix and offset": () => text("stream", { range: { offset: 1, suffix: 1 } }),
    "range of a header": () => text("stream", { range: new Headers({ range: "bytes=1-3" }) }),
    "open range of a header": () => text("stream", { range: new Headers({ range: "bytes=3-" }) }),
    "suffix of a header": () => text("stream", { range: new Headers({ range: "bytes=-2" }) }),
    "header of two ranges": () => text("stream", { range: new Headers({ range: "bytes=0-1,3-4" }) }),
    "range of a bad header": () => text("stream", { range: new Headers({ range: "lines=1" }) }),
    "header behind the end": () => text("stream", { range: new Headers({ range: "bytes=100-" }) }),
    "etag matches": () => text("abc", { onlyIf: { etagMatches: HEX } }),
    "etag does not match": () => r2.get("abc", { onlyIf: { etagMatches: "x" } }),
    "etag must differ": () => text("abc", { onlyIf: { etagDoesNotMatch: HEX } }),
    "etag differs": () => text("abc", { onlyIf: { etagDoesNotMatch: "x" } }),
    "any etag": () => text("abc", { onlyIf: { etagMatches: "*" } }),
    "quoted etag": () => text("abc", { onlyIf: { etagMatches: `"${HEX}"` } }),
    "uploaded before": () => text("abc", { onlyIf: { uploadedBefore: new Date(1000) } }),
    "uploaded after": () => text("abc", { onlyIf: { uploadedAfter: new Date(1000) } }),
    "if-match": () => text("abc", { onlyIf: new Headers({ "if-match": `"${HEX}"` }) }),
    "if-none-match": () => text("abc", { onlyIf: new Headers({ "if-none-match": `"x", W/"${HEX}"` }) }),
    "if-modified-since": () => text("abc", { onlyIf: new Headers({ "if-modified-since": AT.toUTCString() }) }),
    "put if there is none": () => r2.put("abc", "no", { onlyIf: { etagDoesNotMatch: "*" } }),
    "put if it matches": () => r2.put("abc", "yes", { onlyIf: { etagMatches: HEX } }),
    "put if a new one matches": () => r2.put("new", "no", { onlyIf: { etagMatches: HEX } }),
    "put if a new one differs": () => r2.put("new", "yes", { onlyIf: { etagDoesNotMatch: HEX } }),
    "put a number": () => r2.put("number", 42),
    "odd key": () => r2.put("a/b c?d=é&%41", "odd"),
    "get odd key": () => text("a/b c?d=é&%41"),
    "key too long": () => r2.put("k".repeat(1025), "x"),
    "key long enough": () => r2.put("k".repeat(1024), "x"),
    "get a key too long": () => r2.get("k".repeat(1025)),
    "metadata too large": () => r2.put("meta", "x", { customMetadata: { m: "m".repeat(8192) } }),
    "metadata large enough": () => r2.put("large", "x", { customMetadata: { m: "m".repeat(8191) } }),
    "wide metadata too large": () => r2.put("large", "x", { customMetadata: { m: "\u0416".repeat(4096) } }),
    "delete several": () => r2.delete(["large", "k".repeat(1024), "absent"]),
    "delete": () => r2.delete("number"),
    "delete absent": () => r2.delete("absent"),
    "list": () => names(),
    "list what it shows": async () => (await r2.list({ prefix: "meta" })).objects,
    "list with metadata": async () =>
      (await r2.list({ prefix: "meta", include: ["httpMetadata", "customMetadata"] })).objects,
    "list with http metadata": async () =>
      (await r2.list({ prefix: "meta", include: ["httpMetadata"] })).objects,
    "list with something else": () => r2.list({ include: ["everything"] }),
    "write unknown metadata": async () => (await r2.list({ prefix: "meta" })).objects[0].writeHttpMetadata(new Headers()),
    "folders": async () => {
      for (const key of ["f/a", "f/b/1", "f/b/2", "f/c", "f/d/1", "g"]) await r2.put(key, key);
    },
    "list of a prefix": () => names({ prefix: "f/" }),
    "list of none": () => names({ prefix: "zzz" }),
    "list of folders": () => names({ delimiter: "/" }),
    "list in a folder": () => names({ prefix: "f/", delimiter: "/" }),
    "list by a longer delimiter": () => names({ prefix: "f/", delimiter: "/1" }),
    "list after": () => names({ prefix: "f/", startAfter: "f/b/1" }),
    "list after in folders": () => names({ prefix: "f/", delimiter: "/", startAfter: "f/b/1" }),
    "pages": async () => {
      const found = [];
      let cursor;
      do {
        const page = await r2.list({ prefix: "f/", limit: 2, cursor });
        found.push(page.objects.map((each) => each.key));
        cursor = page.truncated ? page.cursor : undefined;
      } while (cursor);
      return found;
    },
    "pages of folders": async () => {
      const found = [];
      let cursor;
      do {
        const page = await r2.list({ prefix: "f/", delimiter: "/", limit: 2, cursor });
        found.push([page.objects.map((each) => each.key), page.delimitedPrefixes]);
        cursor = page.truncated ? page.cursor : undefined;
      } while (cursor);
      return found;
    },
    "limit too large": () => r2.list({ limit: 1001 }),
    "limit of zero": () => r2.list({ limit: 0 }),
    "begin an upload": async () => {
      upload = await r2.createMultipartUpload("big", { customMetadata: { a: "b" }, httpMetadata: { contentType: "x/y" } });
      return [upload.key, typeof upload.uploadId];
    },
    "upload parts": async () => {
      parts = [
        await upload.uploadPart(2, new Uint8Array(MB5).fill(2)),
        await upload.uploadPart(1, new Uint8Array(MB5).fill(1)),
        await upload.uploadPart(3, "the end"),
      ];
      return parts.map((part) => part.partNumber);
    },
    "part zero": () => upload.uploadPart(0, "x"),
    "part ten thousand and one": () => upload.uploadPart(10001, "x"),
    "part of no upload": () => r2.resumeMultipartUpload("big", "nothing").uploadPart(1, "x"),
    "part of another key": () => r2.resumeMultipartUpload("other", upload.uploadId).uploadPart(1, "x"),
    "complete with a part that is not there": () => upload.complete([...parts, { partNumber: 9, etag: "x" }]),
    "complete with a wrong etag": () => upload.complete([{ partNumber: 1, etag: "x" }]),
    "complete with one part twice": () => upload.complete([parts[0], parts[0]]),
    "complete with a small part": () => upload.complete([parts[2], parts[0]]),
    "complete no upload": () => r2.resumeMultipartUpload("big", "nothing").complete([]),
    "complete": () => upload.complete(parts),
    "complete again": () => upload.complete(parts),
    "part after the end": () => upload.uploadPart(1, "x"),
    "head of parts": () => r2.head("big"),
    "range over parts": async () =>
      (await r2.get("big", { range: { offset: MB5 - 2, length: 4 } })).arrayBuffer(),
    "end of parts": () => text("big", { range: { suffix: 7 } }),
    "abort": async () => {
      const other = await r2.createMultipartUpload("aborted");
      await other.uploadPart(1, "x");
      await other.abort();
      await other.abort();
      return r2.head("aborted");
    },
    "key: put": () => r2.put("secret", "abc", { ssecKey: KEY }),
    "key: head": () => r2.head("secret"),
    "key: get": () => text("secret", { ssecKey: KEY }),
    "key: get by bytes": () => text("secret", { ssecKey: new Uint8Array(32).map((_, index) => index), range: { offset: 1 } }),
    "key: get without": () => text("secret"),
    "key: get with another": () => text("secret", { ssecKey: OTHER_KEY }),
    "key: get what needs none": () => text("abc", { ssecKey: KEY }),
    "key: too short": () => r2.put("secret", "abc", { ssecKey: "00" }),
    "key: an odd number of digits": () => r2.put("secret", "abc", { ssecKey: "000" }),
    "key: bytes too short": () => r2.get("secret", { ssecKey: new Uint8Array(31) }),
    "key: no digits": () => r2.put("secret", "abc", { ssecKey: KEY.toUpperCase() }),
    "key: an upload": async () => {
      const other = await r2.createMultipartUpload("secret parts", { ssecKey: OTHER_KEY });
      const part = await other.uploadPart(1, "x", { ssecKey: OTHER_KEY });
      const made = await other.complete([part]);
      return [made.ssecKeyMd5 ?? null, await text("secret parts", { ssecKey: OTHER_KEY })];
    },
    "key: a part without": async () =>
      (await r2.createMultipartUpload("secret parts", { ssecKey: KEY })).uploadPart(1, "x"),
    "key: a part with another": async () =>
      (await r2.createMultipartUpload("secret parts", { ssecKey: KEY })).uploadPart(1, "x", { ssecKey: OTHER_KEY }),
    "key: replaced by none": async () => {
      await r2.put("secret", "open");
      return text("secret");
    },
    "abort no upload": () => r2.resumeMultipartUpload("big", "nothing").abort(),
  };
};

export default {
  async fetch(request, env) {
    const results = {};
    for (const [name, step] of Object.entries(steps(env.BUCKET))) {
      results[name] = await read(step);
    }
    return Response.json(results);
  },
};
