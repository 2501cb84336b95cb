// What a worker sees of the Cache API: each step's result, or the words of its error. Run by workerd with our store, by
// Miniflare with its own, and, translated by hand, in Python.
const U = "http://cache.example";
const IGNORED = new Set(["age", "date", "transfer-encoding"]);

const read = async (call) => {
  try {
    const value = await call();
    if (value instanceof Response) {
      const headers = [...value.headers].filter(([name]) => !IGNORED.has(name));
      return [value.status, value.statusText, Object.fromEntries(headers), await value.text()];
    }
    return value === undefined ? "undefined" : value;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

const kept = (headers, body = "kept", more = {}) => new Response(body, { ...more, headers: { "Cache-Control": "max-age=60", ...headers } });
const streamed = () => kept({}, new Response("streamed").body.pipeThrough(new TransformStream()));

// Puts a response under a name of its own, and matches it.
const both = async (cache, name, response, headers = {}) => {
  await cache.put(`${U}/${name}`, response);
  return cache.match(new Request(`${U}/${name}`, { headers }));
};

export const steps = (cache, other) => ({
  "match absent": () => cache.match(`${U}/absent`),
  "put": () => cache.put(`${U}/a?q=1`, kept({ "X-A": "1" })),
  "match": () => cache.match(`${U}/a?q=1`),
  "match with a request": () => cache.match(new Request(`${U}/a?q=1`)),
  "match with a fragment": () => cache.match(`${U}/a?q=1#part`),
  "match with another query": () => cache.match(`${U}/a?q=2`),
  "match without a query": () => cache.match(`${U}/a`),
  "match with https": () => cache.match("https://cache.example/a?q=1"),
  "match as a browser writes it": () => cache.match("HTTP://CACHE.example:80/./a?q=1"),
  "match in another cache": () => other.match(`${U}/a?q=1`),
  "match POST": () => cache.match(new Request(`${U}/a?q=1`, { method: "POST", body: "x" })),
  "match POST all the same": () => cache.match(new Request(`${U}/a?q=1`, { method: "POST", body: "x" }), { ignoreMethod: true }),
  "match HEAD": () => cache.match(new Request(`${U}/a?q=1`, { method: "HEAD" })),
  "options that are none": () => cache.match(`${U}/a?q=1`, "x"),
  "put another one": () => both(cache, "a?q=1", kept({}, "another")),
  "put a stream": () => both(cache, "stream", streamed()),
  "put nothing": () => both(cache, "nothing", kept({}, null)),
  "put two values": () => both(cache, "two", new Response("x", { headers: [["Cache-Control", "max-age=60"], ["X-A", "1"], ["X-A", "2"]] })),
  "put with Vary": () => both(cache, "vary", kept({ Vary: "Accept" }), { Accept: "b" }),
  "put with any Vary": () => cache.put(`${U}/x`, kept({ Vary: "*" })),
  "put for POST": () => cache.put(new Request(`${U}/x`, { method: "POST" }), kept()),
  "put a part": () => cache.put(`${U}/x`, kept({}, "x", { status: 206 })),
  "put a 304": () => both(cache, "304", kept({}, null, { status: 304 })),
  "put what is used": async () => {
    const response = kept();
    await response.text();
    return cache.put(`${U}/x`, response);
  },
  "put uses the body": async () => {
    const response = kept();
    await cache.put(`${U}/x`, response);
    return response.bodyUsed;
  },
  "put a clone": async () => {
    const response = kept();
    const found = await both(cache, "clone", response.clone());
    return [await response.text(), await found.text()];
  },
  "put no response": () => cache.put(`${U}/x`, "x"),
  "no url": () => cache.match("a"),
  "no host": () => cache.match("blob:x"),
  "a password": () => cache.match("http://a:b@cache.example/"),
  "no-store": () => both(cache, "no-store", kept({ "Cache-Control": "no-store" })),
  "private": () => both(cache, "private", kept({ "Cache-Control": "private, max-age=60" })),
  "no-cache": () => both(cache, "no-cache", kept({ "Cache-Control": "no-cache" })),
  "max-age of 0": () => both(cache, "zero", kept({ "Cache-Control": "max-age=0" })),
  "max-age of 0 replaces": async () => {
    await cache.put(`${U}/replaced`, kept());
    return both(cache, "replaced", kept({ "Cache-Control": "max-age=0" }));
  },
  "no-store leaves": async () => {
    await cache.put(`${U}/left`, kept());
    return both(cache, "left", kept({ "Cache-Control": "no-store" }));
  },
  "s-maxage": () => both(cache, "shared", kept({ "Cache-Control": "max-age=0, s-maxage=60" })),
  "s-maxage of 0": () => both(cache, "not-shared", kept({ "Cache-Control": "max-age=60, s-maxage=0" })),
  "upper case": () => both(cache, "upper", kept({ "Cache-Control": "Public, MAX-AGE=60" })),
  "public alone": () => both(cache, "public", kept({ "Cache-Control": "public" })),
  "nothing said": () => both(cache, "nothing-said", new Response("x")),
  "expires": () => both(cache, "expires", new Response("x", { headers: { Expires: "Fri, 01 Jan 2100 00:00:00 GMT" } })),
  "expired": () => both(cache, "expired", new Response("x", { headers: { Expires: "Sat, 01 Jan 2000 00:00:00 GMT" } })),
  "expires is no date": () => both(cache, "no-date", new Response("x", { headers: { Expires: "0" } })),
  "older than its age": () => both(cache, "old", kept({ Age: "60" })),
  "younger than its age": () => both(cache, "young", kept({ Age: "59" })),
  "a cookie": () => both(cache, "cookie", kept({ "Set-Cookie": "a=1" })),
  "a cookie that is private": () => both(cache, "private-cookie", kept({ "Cache-Control": "private=set-cookie, max-age=60", "Set-Cookie": "a=1" })),
  "an authorized request": async () => {
    const request = new Request(`${U}/authorized`, { headers: { Authorization: "x" } });
    await cache.put(request, kept());
    return cache.match(request);
  },
  "an authorized request for all": async () => {
    const request = new Request(`${U}/authorized`, { headers: { Authorization: "x" } });
    await cache.put(request, kept({ "Cache-Control": "public, max-age=60" }));
    return cache.match(request);
  },
  "a 404": () => both(cache, "404", kept({}, "x", { status: 404 })),
  "a 500": () => both(cache, "500", kept({}, "x", { status: 500 })),
  "a 204": () => both(cache, "204", kept({ ETag: '"a"' }, null, { status: 204 })),
  "the same tag of a 204": () => both(cache, "204", kept({ ETag: '"a"' }, null, { status: 204 }), { "If-None-Match": '"a"' }),
  "the same tag of a 404": () => both(cache, "404", kept({ ETag: '"a"' }, "x", { status: 404 }), { "If-None-Match": '"a"' }),
  "the same tag of a stream": async () => {
    const response = new Response(streamed().body, { headers: { "Cache-Control": "max-age=60", ETag: '"a"' } });
    return both(cache, "stream", response, { "If-None-Match": '"a"' });
  },
  "compressed": () => both(cache, "compressed", kept({ "Content-Encoding": "gzip" })),
  "a status text": () => both(cache, "text", kept({}, "x", { statusText: "Fine" })),
  "a redirect": () => both(cache, "redirect", kept({ Location: "/b" }, null, { status: 302 })),
  "a range": () => both(cache, "range", kept({}, "0123456789"), { Range: "bytes=2-4" }),
  "an open range": () => both(cache, "range", kept({}, "0123456789"), { Range: "bytes=7-" }),
  "the last bytes": () => both(cache, "range", kept({}, "0123456789"), { Range: "bytes=-3" }),
  "a range too long": () => both(cache, "range", kept({}, "0123456789"), { Range: "bytes=8-20" }),
  "a range that is not there": () => both(cache, "range", kept({}, "0123456789"), { Range: "bytes=10-" }),
  "no range": () => both(cache, "range", kept({}, "0123456789"), { Range: "lines=1-2" }),
  "two ranges": () => both(cache, "range", kept({}, "0123456789"), { Range: "bytes=0-1,3-4" }),
  "a range of a stream": () => both(cache, "streamed-range", streamed(), { Range: "bytes=2-4" }),
  "the same tag": () => both(cache, "etag", kept({ ETag: '"a"' }), { "If-None-Match": '"a"' }),
  "another tag": () => both(cache, "etag", kept({ ETag: '"a"' }), { "If-None-Match": '"b"' }),
  "one of the tags": () => both(cache, "etag", kept({ ETag: 'W/"a"' }), { "If-None-Match": '"b", "a"' }),
  "any tag": () => both(cache, "etag", kept({ ETag: '"a"' }), { "If-None-Match": "*" }),
  "not modified since": () => both(cache, "modified", kept({ "Last-Modified": "Sat, 01 Jan 2000 00:00:00 GMT" }), { "If-Modified-Since": "Sat, 01 Jan 2000 00:00:00 GMT" }),
  "modified since": () => both(cache, "modified", kept({ "Last-Modified": "Sat, 01 Jan 2000 00:00:00 GMT" }), { "If-Modified-Since": "Fri, 31 Dec 1999 00:00:00 GMT" }),
  "since what is no date": () => both(cache, "modified", kept({ "Last-Modified": "Sat, 01 Jan 2000 00:00:00 GMT" }), { "If-Modified-Since": "yesterday" }),
  "delete": () => cache.delete(`${U}/clone`),
  "match deleted": () => cache.match(`${U}/clone`),
  "delete again": () => cache.delete(`${U}/clone`),
  "delete POST": () => cache.delete(new Request(`${U}/etag`, { method: "POST" })),
  "delete POST all the same": () => cache.delete(new Request(`${U}/etag`, { method: "POST" }), { ignoreMethod: true }),
  "delete what is not fresh": () => cache.delete(`${U}/zero`),
  "a key of its own": async () => {
    await cache.put(new Request(`${U}/1`, { cf: { cacheKey: "key" } }), kept());
    return cache.match(new Request(`${U}/2`, { cf: { cacheKey: "key" } }));
  },
  "the empty name is the default": async () => {
    await cache.put(`${U}/default`, kept());
    return (await caches.open("")).match(`${U}/default`);
  },
  "a name that is too long": () => caches.open("x".repeat(1024)),
  "a name that is long": async () => both(await caches.open("é".repeat(511)), "long", kept()),
  "add": () => cache.add(U),
  "match in all": () => caches.match(U),
});

export default {
  async fetch() {
    const results = {};
    for (const [name, step] of Object.entries(steps(caches.default, await caches.open("other é/")))) {
      results[name] = await read(step);
    }
    return Response.json(results);
  },
};
