// Sign people up, and send the welcome e-mail later: whoever signs up does not wait for it.
//
// `fetch` puts a message on the queue and answers at once. `queue` is given the messages in batches, in the background.

import { sendWelcomeEmail } from "./mail.js";
import page from "./page.html";

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    if (url.pathname === "/") {
      return new Response(page, { headers: { "content-type": "text/html;charset=UTF-8" } });
    }
    if (url.pathname !== "/signup") {
      return new Response("Not found", { status: 404 });
    }
    const given = request.method === "POST" ? await request.formData() : url.searchParams;
    const email = String(given.get("email") ?? "").trim();
    if (!/^[^@\s]+@[^@\s]+\.[^@\s.]+$/.test(email)) {
      return Response.json({ ok: false, error: "please give an e-mail address" }, { status: 400 });
    }
    // ... create the user ...
    await env.EVENTS.send({ type: "welcome-email", email });
    return Response.json({ ok: true });
  },

  async queue(batch, env, ctx) {
    for (const message of batch.messages) {
      // Each message is settled for itself. One that is to be retried is delivered again, up to max_retries times, and
      // then moves to the dead letter queue, which keeps what is logged right before. An error that left this function
      // would have every message of the batch delivered again that is not acked yet.
      try {
        await handle(message.body, env);
        message.ack();
      } catch (error) {
        console.error(error);
        message.retry();
      }
    }
  },
};

async function handle(event, env) {
  if (event.type === "welcome-email") {
    await sendWelcomeEmail(env.SENDER, event.email);
  }
}
