// The worker with a bucket that wrangler dev runs. It does what ../r2-python/entry.py does; keep the two alike.

export default {
  async fetch(request, env) {
    const url = new URL(request.url);
    const bytes = url.searchParams.get("bytes");
    switch (url.pathname) {
      case "/ok":
        return new Response("ok");
      case "/put":
        await env.FILES.put(bytes, new Uint8Array(Number(bytes)));
        return new Response("kept");
      case "/get":
        return new Response((await env.FILES.get(bytes)).body);
      default:
        return new Response("not found", { status: 404 });
    }
  },
};
