// Lets Miniflare keep objects in a directory: node kept.mjs MINIFLARE DIRECTORY
const module = await import(process.argv[2]);
const { Miniflare, convertV4MiniflareOptions } = module.default ?? module;
const script = `
  export default {
    async fetch(request, env) {
      const httpMetadata = { contentType: "text/plain", cacheExpiry: new Date(1700000000000) };
      await env.BUCKET.put("small/é", "value", { httpMetadata, customMetadata: { a: "b" }, sha1: "f32b67c7e26342af42efabc674d441dca0a281c5" });
      await env.BUCKET.put("empty", "");
      await env.BUCKET.put("replaced", "x".repeat(100000));
      await env.BUCKET.put("replaced", "now");
      const upload = await env.BUCKET.createMultipartUpload("large", { customMetadata: { c: "d" } });
      const parts = [];
      for (const [index, length] of [5 << 20, 1000].entries()) {
        parts.push(await upload.uploadPart(index + 1, new Uint8Array(length).fill(index + 1)));
      }
      await upload.complete(parts);
      const shown = (await env.BUCKET.list({ include: ["httpMetadata", "customMetadata"] })).objects;
      const sums = (found) => Object.fromEntries(Object.entries(found.checksums.toJSON()));
      return Response.json(shown.map((found) => [found.key, found.version, found.etag, found.size, +found.uploaded, sums(found)]));
    },
  };
`;
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script,
    compatibilityDate: "2026-04-01",
    r2Buckets: { BUCKET: "pictures" },
    resourcePersistencePath: process.argv[3],
  }),
);
try {
  process.stdout.write(await (await miniflare.dispatchFetch("http://localhost/")).text());
} finally {
  await miniflare.dispose();
}
