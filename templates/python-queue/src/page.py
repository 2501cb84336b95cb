"""The page at `/`: a form that posts to /signup and shows what it answers."""

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
  main { width: 100%; max-width: 27rem; padding: 2rem; background: var(--card); border: 1px solid var(--line);
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
  footer { margin-top: 1.2rem; padding-top: 1rem; border-top: 1px solid var(--line); color: var(--soft);
           font-size: .88rem; }
</style>
</head>
<body>
<main>
  <h1>Sign up</h1>
  <p>You get the answer at once. The welcome e-mail goes through a queue: watch it arrive in the terminal.</p>
  <form action="/signup" method="post">
    <label for="email">E-mail address</label>
    <div class="row">
      <input id="email" name="email" type="email" required autocomplete="email" placeholder="ada@example.com">
      <button>Sign up</button>
    </div>
    <output for="email" aria-live="polite"></output>
  </form>
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
</script>
</body>
</html>
"""
