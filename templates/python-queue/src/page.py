"""The page at `/`: a form that posts to /signup and shows what it answers and, in the emulator, what becomes of it."""

PAGE = """<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<title>Sign up</title>
<link rel="icon" href="data:,">
<style>
  :root { color-scheme: light dark; --ink: #1c1b22; --soft: #6a6874; --paper: #fbfaf7; --card: #fff; --line: #dedbd2;
          --accent: #c2410c; --press: #9a3412; --good: #2b8a3e; --bad: #c92a2a; }
  @media (prefers-color-scheme: dark) {
    :root { --ink: #f1eff5; --soft: #a5a2b0; --paper: #16151a; --card: #201f26; --line: #37353f;
            --accent: #c2410c; --press: #9a3412; --good: #69db7c; --bad: #ff8787; }
  }
  * { box-sizing: border-box; }
  body { margin: 0; min-height: 100vh; display: grid; place-items: center; padding: 1.5rem; background: var(--paper);
         color: var(--ink); font: 16px/1.55 system-ui, sans-serif; }
  main { width: 100%; max-width: 34rem; padding: 2rem; background: var(--card); border: 1px solid var(--line);
         border-radius: 14px; }
  h1 { margin: 0 0 .4rem; font-size: 1.6rem; line-height: 1.2; letter-spacing: -.02em; }
  p { margin: 0 0 1.4rem; color: var(--soft); }
  label { display: block; margin-bottom: .35rem; font-weight: 600; font-size: .9rem; }
  .row { display: flex; gap: .5rem; flex-wrap: wrap; }
  input { flex: 1 1 12rem; min-width: 0; padding: .65rem .8rem; font: inherit; color: inherit; background: var(--paper);
          border: 1px solid var(--line); border-radius: 8px; }
  button { padding: .65rem 1.1rem; font: inherit; font-weight: 600; color: #fff; background: var(--accent); border: 0;
           border-radius: 8px; cursor: pointer; }
  button:hover { background: var(--press); }
  input:focus-visible, button:focus-visible { outline: 3px solid color-mix(in srgb, var(--accent) 45%, transparent);
           outline-offset: 1px; }
  output { display: block; min-height: 1.6em; margin-top: 1rem; }
  output.good { color: var(--good); }
  output.bad { color: var(--bad); }
  code { font: .92em ui-monospace, monospace; overflow-wrap: anywhere; }
  #queues { display: grid; grid-template-columns: repeat(3, 1fr); gap: .6rem; margin-top: 1.2rem; }
  #queues[hidden] { display: none; }
  #queues h2 { margin: 0 0 .4rem; font-size: .8rem; color: var(--soft); font-weight: 600; }
  #queues ul { min-height: 6.5rem; margin: 0; padding: .4rem; list-style: none; border: 1px dashed var(--line);
               border-radius: 10px; }
  #queues li { margin-bottom: .3rem; padding: .25rem .5rem; font-size: .78rem; border-radius: 6px;
               overflow-wrap: anywhere; border: 1px solid var(--line); background: var(--paper);
               animation: arrive .4s; }
  #queues li small { display: block; color: var(--soft); }
  #queues li:nth-child(n + 6) { display: none; }
  #delivered li { border-color: var(--good); }
  #dead li { border-color: var(--bad); }
  @keyframes arrive { from { opacity: 0; transform: translateX(-1rem); } }
  footer { margin-top: 1.2rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
           font-size: .88rem; }
</style>
</head>
<body>
<main>
  <h1>Sign up</h1>
  <p>You get the answer at once. The welcome e-mail goes through a queue.</p>
  <form action="/signup" method="post">
    <label for="email">E-mail address</label>
    <div class="row">
      <input id="email" name="email" type="email" required autocomplete="email" placeholder="ada@example.com">
      <button>Sign up</button>
    </div>
    <output for="email" aria-live="polite"></output>
  </form>
  <section id="queues" hidden>
    <div><h2>Waiting</h2><ul id="waiting"></ul></div>
    <div><h2>Delivered</h2><ul id="delivered"></ul></div>
    <div><h2>Dead letters</h2><ul id="dead"></ul></div>
  </section>
  <footer>An address at <code>fail.example</code> makes the consumer fail: four attempts, then the dead letter
    queue.</footer>
</main>
<script>
  const form = document.querySelector("form"), output = document.querySelector("output");
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    let text, good = false;
    try {
      const started = performance.now();
      const response = await fetch(form.action, { method: "POST", body: new URLSearchParams(new FormData(form)) });
      text = `${(await response.text()).trim()}  in ${Math.round(performance.now() - started)} ms`;
      good = response.ok;
    } catch (error) {
      text = String(error);
    }
    const code = document.createElement("code");
    code.textContent = text;
    output.className = good ? "good" : "bad";
    output.replaceChildren(code);
    if (good) form.reset();
  });

  // On this machine the emulator lets the pages of its workers look into the queues. Anywhere else nothing is asked
  // for, and the lists stay hidden.
  const api = "/cdn-cgi/emulator/client/v4/accounts/local/queues";
  const lists = Object.fromEntries(["waiting", "delivered", "dead"].map((id) => [id, document.getElementById(id)]));
  const seen = new Map();
  async function ask(path = "", body) {
    const options = { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) };
    return (await (await fetch(api + path, body && options)).json()).result;
  }
  function titleOf(body) {
    try {
      const event = JSON.parse(new TextDecoder().decode(Uint8Array.from(atob(body), (byte) => byte.charCodeAt(0))));
      return event?.email ?? event?.type ?? JSON.stringify(event);
    } catch {
      return body;
    }
  }
  function place(id, title, where, note) {
    const item = seen.get(id) ?? document.createElement("li"), small = document.createElement("small");
    seen.set(id, item);
    small.textContent = note;
    item.replaceChildren(title, small);
    if (item.parentNode !== lists[where]) lists[where].prepend(item);
  }
  async function look() {
    const there = new Set();
    let busy = false;
    for (const { queue_name, queue_id } of await ask()) {
      const isDead = queue_name.endsWith("-dlq");
      const { messages } = await ask(`/${queue_id}/messages/peek`, { batch_size: 100 });
      for (const { id, body, attempts } of messages) {
        there.add(id);
        place(id, titleOf(body), isDead ? "dead" : "waiting", isDead ? "out of attempts" : `attempts: ${attempts}`);
      }
      if (!isDead) busy ||= (await ask(`/${queue_id}/metrics`)).backlog_count > messages.length;
    }
    for (const [id, item] of seen) {
      if (item.parentNode !== lists.waiting || there.has(id)) continue;
      if (busy) place(id, item.firstChild, "waiting", "being delivered");
      else place(id, item.firstChild, "delivered", "acked");
    }
  }
  function forget() {
    seen.clear();
    for (const list of Object.values(lists)) list.replaceChildren();
  }
  async function watch() {
    await look();
    document.getElementById("queues").hidden = false;
    for (;;) {
      await new Promise((resolve) => setTimeout(resolve, 400));
      await look().catch(forget);
    }
  }
  const host = location.hostname;
  if (/^(.+[.])?localhost$|^127[.]/.test(host) || host === "[::1]") watch().catch(() => {});
</script>
</body>
</html>
"""
