// Runs the script in Miniflare, and prints what it answers: node miniflare.mjs MINIFLARE SCRIPT
import { readFileSync } from "node:fs";

const module = await import(process.argv[2]);
const { Miniflare, convertV4MiniflareOptions, NoOpLog } = module.default ?? module;
const miniflare = new Miniflare(
  convertV4MiniflareOptions({
    modules: true,
    script: readFileSync(process.argv[3], "utf8"),
    compatibilityDate: "2026-04-01",
    log: new NoOpLog(),
    email: {
      send_email: [
        { name: "EMAIL" },
        { name: "ONE", destination_address: "grace@b.example" },
        { name: "FEW", allowed_destination_addresses: ["grace@b.example"] },
        { name: "FROM", allowed_sender_addresses: ["ada@a.example"] },
      ],
    },
  }),
);
try {
  process.stdout.write(await (await miniflare.dispatchFetch("http://localhost/")).text());
} finally {
  await miniflare.dispose();
}
