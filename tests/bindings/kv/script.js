// What a worker sees of KV: each step's result, or the words of its error. Run by workerd with our store, by `workerd
// serve` with its own, and, translated by hand, in Python.
const read = async (call) => {
  try {
    const value = await call();
    if (value instanceof ArrayBuffer) return [...new Uint8Array(value)];
    if (value instanceof ReadableStream) return await new Response(value).text();
    if (value instanceof Map) return Object.fromEntries(value);
    return value === undefined ? "undefined" : value;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

export const steps = (kv) => ({
  "get absent": () => kv.get("absent"),
  "put text": () => kv.put("text", "héllo"),
  "get text": () => kv.get("text"),
  "get bytes": () => kv.get("text", "arrayBuffer"),
  "get stream": () => kv.get("text", { type: "stream" }),
  "get what is no json": () => kv.get("text", "json"),
  "put json": () => kv.put("json", JSON.stringify({ a: [1, null] })),
  "get json": () => kv.get("json", "json"),
  "put bytes": () => kv.put("bytes", new Uint8Array([0, 255, 10])),
  "get bytes back": () => kv.get("bytes", "arrayBuffer"),
  "put stream": () => kv.put("stream", new Response("streamed").body),
  "get streamed": () => kv.get("stream"),
  "put with metadata": () => kv.put("meta", "x", { metadata: { who: "Ada é", n: 1 } }),
  "get with metadata": () => kv.getWithMetadata("meta"),
  "get without metadata": () => kv.getWithMetadata("text", "text"),
  "get absent with metadata": () => kv.getWithMetadata("absent"),
  "odd key": () => kv.put("a/b c?d=é&%41", "odd"),
  "get odd key": () => kv.get("a/b c?d=é&%41"),
  "list": () => kv.list(),
  "list of a prefix": () => kv.list({ prefix: "m" }),
  "list of none": () => kv.list({ prefix: "zzz" }),
  "first page": async () => {
    const page = await kv.list({ limit: 2 });
    const next = await kv.list({ limit: 2, cursor: page.cursor });
    return [page.list_complete, page.keys.map((key) => key.name), next.keys.map((key) => key.name)];
  },
  "limit too large": () => kv.list({ limit: 1001 }),
  "get many": () => kv.get(["text", "absent", "meta"]),
  "get many as json": () => kv.get(["json", "absent"], "json"),
  "get many that are no json": () => kv.get(["text"], "json"),
  "get many with metadata": () => kv.getWithMetadata(["meta", "absent", "text"]),
  "get too many": () => kv.get(Array.from({ length: 101 }, (_, n) => `k${n}`)),
  "ttl too short": () => kv.put("ttl", "x", { expirationTtl: 59 }),
  "ttl of zero": () => kv.put("ttl", "x", { expirationTtl: 0 }),
  "expiration in the past": () => kv.put("ttl", "x", { expiration: 1000 }),
  "cache ttl too short": () => kv.get("text", { cacheTtl: 29 }),
  "empty key": () => kv.put("", "x"),
  "dot": () => kv.get("."),
  "dots": () => kv.delete(".."),
  "key too long": () => kv.put("k".repeat(513), "x"),
  "key long enough": () => kv.put("k".repeat(512), "x"),
  "metadata too large": () => kv.put("meta", "x", { metadata: "m".repeat(1023) }),
  "value of another type": () => kv.put("value", 42),
  "unknown type": () => kv.get("text", "blob"),
  "delete": () => kv.delete("text"),
  "get deleted": () => kv.get("text"),
  "delete absent": () => kv.delete("absent"),
});

export default {
  async fetch(request, env) {
    const results = {};
    for (const [name, step] of Object.entries(steps(env.KV))) {
      results[name] = await read(step);
    }
    return Response.json(results);
  },
};
