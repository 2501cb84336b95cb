// Gives messages to a handler in Miniflare, and prints what it did: node handler.mjs MINIFLARE SCRIPT < MESSAGES
import { readFileSync } from "node:fs";

const module = await import(process.argv[2]);
const { Miniflare, convertV4MiniflareOptions, NoOpLog } = module.default ?? module;
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: readFileSync(process.argv[3], "utf8"),
    compatibilityDate: "2026-04-01",
    kvNamespaces: { SEEN: "seen" },
    log: new NoOpLog(),
    unsafeTriggerHandlers: true,
  }),
);
const address = "http://localhost/cdn-cgi/local/email?from=ada@a.example&to=shop@b.example&format=json";
const results = [];
try {
  for (const body of JSON.parse(readFileSync(0, "utf8"))) {
    const response = await miniflare.dispatchFetch(address, { method: "POST", body });
    const { rejectReason, forwards, replies } = await response.json();
    const sent = forwards.map(({ recipient, headers }) => [recipient, headers]);
    results.push([rejectReason ?? null, sent, replies.length]);
  }
} finally {
  await miniflare.dispose();
}
process.stdout.write(JSON.stringify(results));
