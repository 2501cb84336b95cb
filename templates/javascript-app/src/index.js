// To-do lists: the page is in `public/`, the lists are in D1, sessions in KV, attachments in R2, and mails go through a
// queue.
import { sendMail } from "./mail.js";
import { Todos } from "./todos.js";

const EMAIL = /^[^@\s]+@[^@\s]+\.[^@\s.]+$/;
const SESSION_SECONDS = 7 * 24 * 3600;
const TODO = /^\/api\/todos\/([0-9]{1,15})(\/attachment)?$/;

export default {
  async fetch(request, env) {
    const path = new URL(request.url).pathname;
    if (path === "/api/sign-in" && request.method === "POST") return signIn(request, env);
    if (!path.startsWith("/api/")) return refusal(404, "not found");
    const email = await env.SESSIONS.get(`session:${sessionOf(request)}`);
    if (email === null) return refusal(401, "please sign in");
    const todos = new Todos(env.DB, env.ATTACHMENTS, email);
    switch (`${request.method} ${path}`) {
      case "GET /api/todos":
        return Response.json({ email, todos: await todos.all() });
      case "POST /api/todos": {
        const title = String((await bodyOf(request)).title ?? "").trim();
        return title ? Response.json(await todos.add(title), { status: 201 }) : refusal(400, "a title, please");
      }
      case "POST /api/mail":
        await env.MAILS.send({ type: "list", email });
        return Response.json({ ok: true }, { status: 202 });
      case "POST /api/sign-out":
        await env.SESSIONS.delete(`session:${sessionOf(request)}`);
        return Response.json({ ok: true });
    }
    const found = TODO.exec(path);
    if (found === null) return refusal(404, "not found");
    return aboutOne(request, todos, Number(found[1]), found[2] !== undefined);
  },

  async queue(batch, env) {
    for (const message of batch.messages) {
      try {
        const { email } = message.body;
        const all = await new Todos(env.DB, env.ATTACHMENTS, email).all();
        const titles = all.filter((todo) => !todo.done).map((todo) => todo.title);
        await sendMail(email, "What is to be done", titles.join("\n") || "Nothing!");
        message.ack();
      } catch (error) {
        console.error(error);
        message.retry();
      }
    }
  },
};

async function aboutOne(request, todos, number, isAttachment) {
  const ok = (happened) => (happened ? Response.json({ ok: true }) : refusal(404, "not found"));
  switch (`${request.method}${isAttachment ? " attachment" : ""}`) {
    case "PATCH":
      return ok(await todos.mark(number, Boolean((await bodyOf(request)).done)));
    case "DELETE":
      return ok(await todos.remove(number));
    case "PUT attachment":
      return ok(await todos.attach(number, request));
    case "GET attachment":
      return (await todos.attachment(number)) ?? refusal(404, "not found");
  }
  return refusal(405, "not possible");
}

// Whoever says an address is believed: a real application sends a link there first.
async function signIn(request, env) {
  const email = String((await bodyOf(request)).email ?? "").trim();
  if (!EMAIL.test(email)) return refusal(400, "an e-mail address, please");
  const token = crypto.randomUUID();
  await env.SESSIONS.put(`session:${token}`, email, { expirationTtl: SESSION_SECONDS });
  const cookie = `session=${token}; Path=/; HttpOnly; SameSite=Lax; Max-Age=${SESSION_SECONDS}`;
  return Response.json({ email }, { headers: { "set-cookie": cookie } });
}

function refusal(status, error) {
  return Response.json({ error }, { status });
}

// The token in the cookie; `-`, which no session has, if there is none.
function sessionOf(request) {
  return /(?:^|;\s*)session=([\w-]+)/.exec(request.headers.get("cookie") ?? "")?.[1] ?? "-";
}

async function bodyOf(request) {
  try {
    const body = await request.json();
    return body !== null && typeof body === "object" ? body : {};
  } catch {
    return {};
  }
}
