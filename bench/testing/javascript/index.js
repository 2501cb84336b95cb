// The worker under test: a shop that takes orders and ships them later. ../python/entry.py is the same worker.
//
// `fetch` queues orders; `queue` ships them. What an order is `for` decides how its shipping goes, so that each test can
// bring about what it is about.

const shipped = [];
const dead = [];

function ship(message, together) {
  const order = message.body;
  switch (order.for) {
    case "nobody":
      throw new Error(`order ${order.id} has no address`);
    case "later":
      message.retry({ delaySeconds: 60 * message.attempts });
      return;
    case "out of stock":
      message.retry();
      return;
    case "second try":
      if (message.attempts === 1) {
        message.retry();
        return;
      }
  }
  shipped.push({ id: order.id, attempts: message.attempts, with: together });
  message.ack();
}

export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (path === "/shipped") {
      return Response.json(shipped);
    }
    if (path === "/dead") {
      return Response.json(dead);
    }
    if (path !== "/orders" && path !== "/orders/many") {
      return new Response("not found", { status: 404 });
    }
    if (request.method !== "POST") {
      return new Response("POST an order", { status: 405 });
    }
    const given = await request.json();
    const orders = path === "/orders/many" ? given : [given];
    if (!orders.length || !orders.every((order) => order.id)) {
      return Response.json({ error: "an order needs an id" }, { status: 400 });
    }
    if (path === "/orders/many") {
      await env.ORDERS.sendBatch(orders.map((order) => ({ body: order })));
    } else {
      await env.ORDERS.send(given, { delaySeconds: given.wait ?? 0 });
    }
    return Response.json({ queued: orders.length }, { status: 202 });
  },

  async queue(batch) {
    if (batch.queue === "orders-dead") {
      dead.push(...batch.messages.map((message) => ({ id: message.body.id, with: batch.messages.length })));
      return;
    }
    const whole = batch.messages[0].body.whole;
    if (whole === "holiday") {
      batch.retryAll({ delaySeconds: 3600 });
      return;
    }
    if (whole === "pickup") {
      batch.ackAll();
      return;
    }
    for (const message of batch.messages) {
      ship(message, batch.messages.length);
    }
  },
};
