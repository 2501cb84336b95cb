// Runs workers/javascript in Miniflare, without wrangler: `node miniflare.mjs WORKER_DIRECTORY PORT`.
// The queues are those of workers/javascript/wrangler.jsonc; the log is on, as it is in wrangler dev.

import { Log, LogLevel, Miniflare } from "miniflare";

const [directory, port] = process.argv.slice(2);

const miniflare = new Miniflare({
  name: "bench-javascript",
  rootPath: directory,
  scriptPath: "index.js",
  modules: true,
  compatibilityDate: "2026-04-01",
  host: "127.0.0.1",
  port: Number(port),
  cf: false,
  log: new Log(LogLevel.INFO),
  queueProducers: { FLOOD: { queueName: "flood" }, LATENCY: { queueName: "latency" } },
  queueConsumers: {
    flood: { maxBatchSize: 100, maxBatchTimeout: 1 },
    latency: { maxBatchSize: 10, maxBatchTimeout: 0 },
  },
});

async function stop() {
  await miniflare.dispose();
  process.exit(0);
}

process.on("SIGINT", stop);
process.on("SIGTERM", stop);
await miniflare.ready;
