// Sign people up, and send the welcome e-mail later: whoever signs up does not wait for it.
//
// `fetch` puts a message on the queue and answers at once. `queue` is given the messages in batches, in the background.

import { sendWelcomeEmail } from "./mail";

interface Env {
  EVENTS: Queue<Event>;
  SENDER: string;
}

interface Event {
  type: "welcome-email";
  email: string;
}

export default {
  async fetch(request: Request, env: Env): Promise<Response> {
    const url = new URL(request.url);
    if (url.pathname !== "/signup") {
      return new Response("Sign up at /signup?email=ada@example.com\n", { status: url.pathname === "/" ? 200 : 404 });
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

  async queue(batch: MessageBatch<Event>, env: Env): Promise<void> {
    for (const message of batch.messages) {
      const event = message.body;
      if (event.type === "welcome-email") {
        await sendWelcomeEmail(env.SENDER, event.email);
      }
      // A message that is acked is done. When the handler throws, those that are not acked yet are delivered again, up
      // to max_retries times, and then move to the dead letter queue.
      message.ack();
    }
  },
} satisfies ExportedHandler<Env, Event>;
