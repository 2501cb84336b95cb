// The worker that workerd and wrangler dev run. It does what ../python/entry.py does; keep the two alike.

const VERSION = "0";
const VALUE = "a small value ".repeat(8);

const stats = { sent: 0, acked: 0, first: 0, last: 0 };
let arrived = () => {};

async function flood(env, batches) {
  stats.sent = batches * 100;
  stats.acked = 0;
  stats.first = Date.now() / 1000;
  for (let batch = 0; batch < batches; batch++) {
    const messages = [];
    for (let number = 0; number < 100; number++) {
      messages.push({ body: { number, text: "a small message" } });
    }
    await env.FLOOD.sendBatch(messages);
  }
  return new Response("sent");
}

// The timer is what tells the runtime that this request is not stuck while it waits for the consumer.
async function roundtrip(env) {
  const { promise, resolve, reject } = Promise.withResolvers();
  arrived = resolve;
  const timer = setTimeout(() => reject(new Error("the message did not arrive in ten seconds")), 10_000);
  await env.LATENCY.send({ text: "a small message" });
  await promise;
  clearTimeout(timer);
  return new Response("arrived");
}

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    switch (url.pathname) {
      case "/ok":
        return new Response("ok");
      case "/send":
        stats.sent += 1;
        await env.FLOOD.send({ number: 1, text: "a small message" });
        return new Response("sent");
      case "/flood":
        return flood(env, Number(url.searchParams.get("batches")));
      case "/roundtrip":
        return roundtrip(env);
      case "/kv-put":
        await env.STORE.put("key", VALUE);
        return new Response("kept");
      case "/kv-get":
        return new Response(await env.STORE.get("key"));
      case "/d1-make":
        await env.DB.exec("DROP TABLE IF EXISTS items; CREATE TABLE items (id INTEGER PRIMARY KEY, text TEXT)");
        await env.DB.prepare("INSERT INTO items VALUES (1, ?)").bind(VALUE).run();
        return new Response("made");
      case "/d1-select":
        return Response.json(await env.DB.prepare("SELECT text FROM items WHERE id = ?").bind(1).first());
      case "/d1-insert":
        await env.DB.prepare("INSERT INTO items (text) VALUES (?)").bind(VALUE).run();
        return new Response("kept");
      case "/stats":
        return Response.json(stats);
      case "/version":
        return new Response(VERSION);
      default:
        return new Response("not found", { status: 404 });
    }
  },

  async queue(batch) {
    if (batch.queue === "latency") {
      arrived();
      return;
    }
    let read = 0;
    for (const message of batch.messages) {
      read += message.body.text.length;
      message.ack();
    }
    stats.acked += batch.messages.length;
    stats.last = Date.now() / 1000;
    stats.read = read;
  },
};
