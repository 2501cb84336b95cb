import { cloudflareTest } from "@cloudflare/vitest-pool-workers";
import { defineConfig } from "vitest/config";

// The broker of these tests runs in real time, so that its consumers wait 50 ms for a batch to fill, not 5 seconds.
const maxBatchTimeout = 0.05;

export default defineConfig({
  plugins: [
    cloudflareTest({
      wrangler: { configPath: "./wrangler.jsonc" },
      miniflare: {
        queueConsumers: {
          orders: { maxBatchSize: 5, maxBatchTimeout, maxRetries: 2, deadLetterQueue: "orders-dead" },
          "orders-dead": { maxBatchSize: 5, maxBatchTimeout },
        },
      },
    }),
  ],
});
