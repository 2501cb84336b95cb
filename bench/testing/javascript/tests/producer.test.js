// What `fetch` answers, and what it queues. ../../python/tests/test_producer.py says the same.

import { env, exports } from "cloudflare:workers";
import { afterEach, expect, test, vi } from "vitest";

function post(path, body) {
  return exports.default.fetch(`http://localhost${path}`, { method: "POST", body: JSON.stringify(body) });
}

afterEach(() => vi.restoreAllMocks());

test("an order is accepted", async () => {
  const response = await post("/orders", { id: "p1" });
  expect(response.status).toBe(202);
  expect(await response.json()).toEqual({ queued: 1 });
});

test("an order without an id is refused", async () => {
  const response = await post("/orders", { for: "nobody" });
  expect(response.status).toBe(400);
  expect(await response.json()).toEqual({ error: "an order needs an id" });
});

test("another path is not found", async () => {
  expect((await exports.default.fetch("http://localhost/elsewhere")).status).toBe(404);
});

test("another method is not allowed", async () => {
  expect((await exports.default.fetch("http://localhost/orders")).status).toBe(405);
});

// What waits in a queue cannot be looked at, so that the next four replace what sends.

test("the order is the message", async () => {
  const send = vi.spyOn(env.ORDERS, "send").mockResolvedValue();
  await post("/orders", { id: "p5" });
  expect(send.mock.calls.map(([body]) => body)).toEqual([{ id: "p5" }]);
});

test("many orders are sent as a batch", async () => {
  const sendBatch = vi.spyOn(env.ORDERS, "sendBatch").mockResolvedValue();
  const response = await post("/orders/many", [{ id: "p6" }, { id: "p7" }]);
  expect(await response.json()).toEqual({ queued: 2 });
  expect(sendBatch.mock.calls[0][0].map(({ body }) => body)).toEqual([{ id: "p6" }, { id: "p7" }]);
});

test("one bad order of many, and none is sent", async () => {
  const sendBatch = vi.spyOn(env.ORDERS, "sendBatch").mockResolvedValue();
  expect((await post("/orders/many", [{ id: "p8" }, {}])).status).toBe(400);
  expect(sendBatch).not.toHaveBeenCalled();
});

test("an order that can wait is sent with a delay", async () => {
  const send = vi.spyOn(env.ORDERS, "send").mockResolvedValue();
  await post("/orders", { id: "p9", wait: 600 });
  expect(send).toHaveBeenCalledExactlyOnceWith(expect.anything(), { delaySeconds: 600 });
});
