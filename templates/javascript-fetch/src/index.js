// A small HTTP API: a page, JSON, a path with a parameter, and an answer for everything else.

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    for (const [method, pattern, handler] of ROUTES) {
      const found = pathname.match(pattern);
      if (found && request.method === method) {
        return handler(request, env, ...found.slice(1).map(decodeURIComponent));
      }
    }
    return Response.json({ error: `nothing at ${request.method} ${pathname}` }, { status: 404 });
  },
};

const ROUTES = [
  ["GET", /^\/$/, home],
  ["GET", /^\/hello\/([^/]+)$/, hello],
  ["POST", /^\/echo$/, echo],
];

function home(_request, env) {
  const page = `<!doctype html>
    <title>${escape(env.GREETING)}</title>
    <h1>${escape(env.GREETING)}!</h1>
    <p>Try <a href="/hello/Ada">/hello/Ada</a>, or post JSON to <code>/echo</code>.</p>`;
  return new Response(page, { headers: { "content-type": "text/html;charset=UTF-8" } });
}

function hello(_request, env, name) {
  return Response.json({ message: `${env.GREETING}, ${name}` });
}

async function echo(request) {
  try {
    return Response.json({ you_sent: await request.json() });
  } catch {
    return Response.json({ error: "the body is not JSON" }, { status: 400 });
  }
}

function escape(text) {
  return text.replace(/[&<>"']/g, (character) => `&#${character.charCodeAt(0)};`);
}
