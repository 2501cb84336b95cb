// A dataset of Analytics Engine in a JavaScript worker: the emulator keeps the points. As workerd's own, it takes a point
// at once; unlike that, it lets the emulator know when all of them have been kept, and what has too much is told there.

import workers from "cloudflare-internal:workers";

const PENDING = Symbol.for("emulator.pending");

function list(event, name) {
  const values = event[name];
  if (values === undefined) return [];
  if (!Array.isArray(values)) {
    const where = `Incorrect type for the '${name}' field on 'AnalyticsEngineEvent'`;
    throw new TypeError(`${where}: the provided value is not of type 'Array'.`);
  }
  return values;
}

function content(value) {
  if (value === null || value === undefined) return "";
  if (!(value instanceof ArrayBuffer) && !ArrayBuffer.isView(value)) return String(value);
  const bytes = ArrayBuffer.isView(value)
    ? new Uint8Array(value.buffer, value.byteOffset, value.byteLength)
    : new Uint8Array(value);
  return { bytes: Array.from(bytes) };
}

async function send(fetcher, point) {
  globalThis[PENDING] = (globalThis[PENDING] ?? 0) + 1;
  try {
    await fetcher.fetch("http://analytics/write", { method: "POST", body: JSON.stringify(point) });
  } finally {
    globalThis[PENDING] -= 1;
  }
}

export default ({ fetcher }) => ({
  writeDataPoint(event = {}) {
    if (event !== null && typeof event !== "object" && typeof event !== "function") {
      const what = "parameter 1 is not of type 'AnalyticsEngineEvent'.";
      throw new TypeError(`Failed to execute 'writeDataPoint' on 'AnalyticsEngine': ${what}`);
    }
    const given = event ?? {};
    const point = {
      indexes: list(given, "indexes").map(content),
      blobs: list(given, "blobs").map(content),
      doubles: list(given, "doubles").map((value) => String(Number(value))),
    };
    workers.waitUntil(send(fetcher, point));
  },
});
