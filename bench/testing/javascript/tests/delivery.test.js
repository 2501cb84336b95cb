// The way of an order through the queue, its retries and its dead letter queue. ../../python/tests/test_delivery.py says
// the same. The broker runs beside the tests, in real time: they ask again every 5 ms until it has delivered.

import { exports } from "cloudflare:workers";
import { expect, test, vi } from "vitest";

function post(path, body) {
  return exports.default.fetch(`http://localhost${path}`, { method: "POST", body: JSON.stringify(body) });
}

// The worker's state is shared by the tests of a file, so that each looks for orders of its own.
async function those(path, prefix) {
  const orders = await (await exports.default.fetch(`http://localhost${path}`)).json();
  return orders.filter(({ id }) => id.startsWith(prefix));
}

function eventually(look) {
  return vi.waitFor(look, { interval: 5, timeout: 5000 });
}

test("an order is shipped", async () => {
  await post("/orders", { id: "d1" });
  await eventually(async () => expect(await those("/shipped", "d1")).toEqual([{ id: "d1", attempts: 1, with: 1 }]));
});

test("five orders are a batch", async () => {
  const ids = [0, 1, 2, 3, 4].map((number) => `d2-${number}`);
  await post("/orders/many", ids.map((id) => ({ id })));
  const expected = ids.map((id) => ({ id, attempts: 1, with: 5 }));
  await eventually(async () => expect(await those("/shipped", "d2-")).toEqual(expected));
});

test("an order that is retried is shipped by the second attempt", async () => {
  await post("/orders", { id: "d3", for: "second try" });
  await eventually(async () => expect(await those("/shipped", "d3")).toEqual([{ id: "d3", attempts: 2, with: 1 }]));
});

test("an order that is retried too often is dead", async () => {
  await post("/orders", { id: "d4", for: "out of stock" });
  await eventually(async () => expect(await those("/dead", "d4")).toEqual([{ id: "d4", with: 1 }]));
  expect(await those("/shipped", "d4")).toEqual([]);
});

test("an order whose shipping raises is dead in the end", async () => {
  await post("/orders", { id: "d5", for: "nobody" });
  await eventually(async () => expect(await those("/dead", "d5")).toEqual([{ id: "d5", with: 1 }]));
});

test("the others of a batch are shipped once", async () => {
  await post("/orders/many", [{ id: "d6" }, { id: "d7", for: "out of stock" }, { id: "d8" }]);
  await eventually(async () => expect(await those("/dead", "d7")).toHaveLength(1));
  const ids = [...(await those("/shipped", "d6")), ...(await those("/shipped", "d8"))].map(({ id }) => id);
  expect(ids).toEqual(["d6", "d8"]);
});

// Only waiting would get there: fake timers do not reach the broker, which is not in the tests' isolate.

test.skip("a batch that is not full goes out after its timeout (5 seconds)");
test.skip("an order that can wait is shipped after its delay (10 minutes)");
test.skip("the delays of an order for later are kept (3 minutes)");
test.skip("after a holiday the order comes again (1 hour)");
