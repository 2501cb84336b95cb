// Runs a worker with a bucket in Miniflare, and prints what it answers: node miniflare.mjs MINIFLARE SCRIPT
import { readFileSync } from "node:fs";

const module = await import(process.argv[2]);
const { Miniflare, convertV4MiniflareOptions } = module.default ?? module;
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: readFileSync(process.argv[3], "utf8"),
    compatibilityDate: "2026-04-01",
    r2Buckets: { BUCKET: "conformance" },
  }),
);
try {
  process.stdout.write(await (await miniflare.dispatchFetch("http://localhost/")).text());
} finally {
  await miniflare.dispose();
}
