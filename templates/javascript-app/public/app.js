const output = document.querySelector("output");
const list = document.querySelector("#todos");

async function ask(method, path, body, headers = {}) {
  const isJson = body !== undefined && !(body instanceof Blob);
  const response = await fetch(`/api${path}`, {
    method,
    body: isJson ? JSON.stringify(body) : body,
    headers: isJson ? { "content-type": "application/json" } : headers,
  });
  const answer = await response.json();
  if (!response.ok) throw Object.assign(new Error(answer.error), { status: response.status });
  return answer;
}

function item(todo) {
  const made = document.querySelector("template").content.cloneNode(true).firstElementChild;
  const [done, file] = made.querySelectorAll("input");
  const link = made.querySelector("a");
  made.querySelector("span").textContent = todo.title;
  made.classList.toggle("done", todo.done);
  done.checked = todo.done;
  done.addEventListener("change", () => act(ask("PATCH", `/todos/${todo.id}`, { done: done.checked })));
  made.querySelector("button").addEventListener("click", () => act(ask("DELETE", `/todos/${todo.id}`)));
  file.addEventListener("change", () => {
    const [chosen] = file.files;
    const headers = {
      "content-type": chosen.type || "application/octet-stream",
      "x-file-name": encodeURIComponent(chosen.name),
    };
    act(ask("PUT", `/todos/${todo.id}/attachment`, chosen, headers));
  });
  if (todo.attachment !== null) {
    link.hidden = false;
    link.href = `/api/todos/${todo.id}/attachment`;
    link.textContent = decodeURIComponent(todo.attachment);
  }
  return made;
}

async function show() {
  let found = null;
  try {
    found = await ask("GET", "/todos");
  } catch (error) {
    if (error.status !== 401) throw error;
  }
  document.querySelector("#sign-in").hidden = found !== null;
  document.querySelector("#list").hidden = found === null;
  document.querySelector("#who").textContent = found?.email ?? "";
  list.replaceChildren(...(found?.todos ?? []).map(item));
}

async function act(asked, text = "") {
  try {
    await asked;
    await show();
    output.textContent = text;
  } catch (error) {
    output.textContent = error.message;
  }
}

for (const [id, path] of [["sign-in", "/sign-in"], ["add", "/todos"]]) {
  document.getElementById(id).addEventListener("submit", (event) => {
    event.preventDefault();
    const form = event.target;
    act(ask("POST", path, Object.fromEntries(new FormData(form)))).then(() => form.reset());
  });
}
document.querySelector("#mail").addEventListener("click", () => act(ask("POST", "/mail"), "The mail is on its way."));
document.querySelector("#sign-out").addEventListener("click", () => act(ask("POST", "/sign-out")));
act();
