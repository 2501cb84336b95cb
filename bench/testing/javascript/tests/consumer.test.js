// What `queue` decides about a batch that is handed to it directly. ../../python/tests/test_consumer.py says the same.

import { createExecutionContext, createMessageBatch, getQueueResult } from "cloudflare:test";
import { env } from "cloudflare:workers";
import { expect, test, vi } from "vitest";

import worker from "../index.js";

function message(body, id, attempts = 1) {
  return { id, timestamp: new Date(), attempts, body };
}

// The result tells no retry delays, so that what calls for them is spied on: `asked` are the arguments of those calls.
async function dispatch(messages) {
  const batch = createMessageBatch("orders", messages);
  const spies = [vi.spyOn(batch, "retryAll"), ...batch.messages.map((each) => vi.spyOn(each, "retry"))];
  const context = createExecutionContext();
  let error = null;
  try {
    await worker.queue(batch, env, context);
  } catch (raised) {
    error = raised;
  }
  const asked = spies.flatMap((spy) => spy.mock.calls.flat());
  return { error, asked, ...(await getQueueResult(batch, context)) };
}

test("a shipped order is acked", async () => {
  const result = await dispatch([message({ id: "c1" }, "one")]);
  expect(result.outcome).toBe("ok");
  expect(result.explicitAcks).toEqual(["one"]);
});

test("an order that is out of stock is retried", async () => {
  const result = await dispatch([message({ id: "c2", for: "out of stock" }, "one")]);
  expect(result.explicitAcks).toEqual([]);
  expect(result.retryMessages).toEqual([{ msgId: "one" }]);
});

test("an order for later is retried with a delay that grows", async () => {
  const result = await dispatch([message({ id: "c3", for: "later" }, "one", 3)]);
  expect(result.retryMessages).toEqual([{ msgId: "one" }]);
  expect(result.asked).toEqual([{ delaySeconds: 180 }]);
});

test("one retry does not keep the others from being acked", async () => {
  const result = await dispatch([message({ id: "c4" }, "one"), message({ id: "c5", for: "out of stock" }, "two")]);
  expect(result.explicitAcks).toEqual(["one"]);
  expect(result.retryMessages.map(({ msgId }) => msgId)).toEqual(["two"]);
});

test("an exception is the outcome, and what was acked before stays acked", async () => {
  const result = await dispatch([message({ id: "c6" }, "one"), message({ id: "c7", for: "nobody" }, "two")]);
  expect(result.error).toBeInstanceOf(Error);
  expect(result.explicitAcks).toEqual(["one"]);
});

test("on a holiday the whole batch is retried in an hour", async () => {
  const result = await dispatch([message({ id: "c8", whole: "holiday" }, "one"), message({ id: "c9" }, "two")]);
  expect(result.retryBatch.retry).toBe(true);
  expect(result.asked).toEqual([{ delaySeconds: 3600 }]);
});

test("what is picked up is acked as a whole", async () => {
  const result = await dispatch([message({ id: "c10", whole: "pickup" }, "one"), message({ id: "c11" }, "two")]);
  expect(result.ackAll).toBe(true);
  expect(result.explicitAcks).toEqual([]);
});
