"""The page, with a text field that is connected to the worker."""

PAGE = """<!doctype html>
<html lang="en">
<meta charset="utf-8">
<title>Word count</title>
<style>
  body { font: 1.1rem/1.5 system-ui, sans-serif; margin: 3rem auto; max-width: 40rem; padding: 0 1rem }
  textarea { box-sizing: border-box; font: inherit; height: 12rem; padding: .5rem; width: 100% }
</style>
<h1>Word count</h1>
<textarea autofocus placeholder="Type something"></textarea>
<p role="status">Connecting</p>
<script>
  const text = document.querySelector("textarea");
  const status = document.querySelector("p");

  function connect() {
    const socket = new WebSocket(location.origin.replace("http", "ws") + "/live");
    const send = () => socket.send(text.value);
    socket.onopen = () => { text.oninput = send; send(); };
    socket.onmessage = (event) => {
      const count = JSON.parse(event.data);
      status.textContent = `${count.words} words, ${count.characters} characters`;
    };
    socket.onclose = (event) => {
      status.textContent = event.reason || "Connecting";
      if (event.code === 4000) text.oninput = connect;
      else {
        text.oninput = null;
        setTimeout(connect, 1000); // a new version of the worker closes too
      }
    };
  }

  connect();
</script>
"""
