// Brings an open page up to date. The server makes the whole page; here those parts of it that are marked with data-live
// are taken from a new copy. Works without: every link and form is one.
const root = "/cdn-cgi/emulator";
const SETTLE = 100; // milliseconds, as all times here
const PAUSE = 500;
const TIMES = 50; // what took long to make is asked for again after so many times as long
const LONGEST = 5000;

function setUpTheme() {
  const button = document.getElementById("theme");
  const dark = matchMedia("(prefers-color-scheme: dark)");
  const isDark = () => (document.documentElement.dataset.theme || (dark.matches ? "dark" : "light")) === "dark";
  const show = () => { button.textContent = isDark() ? "Light" : "Dark"; };
  button.hidden = false;
  button.addEventListener("click", () => {
    const theme = isDark() ? "light" : "dark";
    document.documentElement.dataset.theme = theme;
    document.cookie = `emulator-theme=${theme}; path=${root}; max-age=31536000; samesite=strict`;
    show();
  });
  dark.addEventListener("change", show);
  show();
}

function isInUse(part) {
  const focused = document.activeElement;
  const isField = focused !== null && focused.matches("input:not([type=checkbox]), textarea, select");
  return (isField && part.contains(focused)) || (!getSelection().isCollapsed && part.contains(getSelection().anchorNode));
}

function replace(old, fresh) {
  for (const box of fresh.querySelectorAll("input[type=checkbox]")) {
    const same = [...old.querySelectorAll("input[type=checkbox]")].find((each) => each.value === box.value);
    box.checked = same !== undefined && same.checked;
  }
  for (const details of fresh.querySelectorAll("details[id]")) {
    details.open = document.getElementById(details.id)?.open ?? false;
  }
  const focused = old.contains(document.activeElement) ? document.activeElement : null;
  const all = focused === null ? [] : [...old.querySelectorAll("a, button, input, summary, [tabindex]")];
  const scrolled = [...old.querySelectorAll(".wide")].map((each) => each.scrollLeft);
  const place = old.scrollLeft;
  old.replaceWith(fresh);
  fresh.scrollLeft = place;
  fresh.querySelectorAll(".wide").forEach((each, index) => { each.scrollLeft = scrolled[index] ?? 0; });
  if (focused !== null) {
    const again = fresh.querySelectorAll("a, button, input, summary, [tabindex]")[all.indexOf(focused)];
    (again ?? (fresh.tabIndex >= 0 ? fresh : null))?.focus({ preventScroll: true });
  }
}

// A combobox after the pattern of WAI-ARIA: the field keeps the focus, and the arrow keys mark an option of a list below
// it. The server says how what is before the cursor may go on.
function setUpCompletion(field) {
  const list = document.createElement("ul");
  Object.assign(list, { id: `${field.id}-options`, role: "listbox", ariaLabel: "How the filter may go on", className: "options", tabIndex: -1 });
  field.after(list);
  field.removeAttribute("list");
  field.role = "combobox";
  field.ariaAutoComplete = "list";
  field.setAttribute("aria-controls", list.id);
  let marked = -1;
  let begun = "";
  let timer = 0;
  let asked = 0;
  const show = (isShown) => {
    list.hidden = !isShown;
    field.ariaExpanded = isShown;
    mark(-1);
  };
  const mark = (index) => {
    marked = index;
    [...list.children].forEach((option, place) => { option.ariaSelected = place === index; });
    if (index < 0) field.removeAttribute("aria-activedescendant");
    else {
      field.setAttribute("aria-activedescendant", list.children[index].id);
      list.children[index].scrollIntoView({ block: "nearest" });
    }
  };
  const close = () => {
    asked += 1;
    clearTimeout(timer);
    show(false);
  };
  const ask = async () => {
    const number = asked += 1;
    const text = field.value.slice(0, field.selectionStart);
    try {
      const query = new URLSearchParams({ over: field.dataset.complete, filter: text });
      const answer = await fetch(`${root}/api/complete?${query}`);
      if (!answer.ok || number !== asked) return;
      const found = await answer.json();
      if (number !== asked) return;
      begun = found.begun;
      list.replaceChildren(...found.candidates.map((candidate, index) => {
        const option = document.createElement("li");
        const about = document.createElement("span");
        Object.assign(option, { id: `${list.id}-${index}`, role: "option", textContent: candidate.text.trimEnd() });
        option.dataset.text = candidate.text;
        about.textContent = candidate.about;
        if (candidate.about) option.append(" ", about);
        return option;
      }));
      show(found.candidates.length > 0);
    } catch {
      close();
    }
  };
  const pick = (option) => {
    const end = field.selectionStart;
    field.setRangeText(option.dataset.text, end - begun.length, end, "end");
    close();
    ask();
  };
  field.addEventListener("input", () => {
    clearTimeout(timer);
    timer = setTimeout(ask, PAUSE / 5);
  });
  field.addEventListener("click", ask);
  field.addEventListener("blur", close);
  field.addEventListener("keydown", (event) => {
    const number = list.children.length;
    if (event.key === "ArrowDown" || event.key === "ArrowUp") {
      event.preventDefault();
      if (list.hidden) ask();
      else mark(event.key === "ArrowDown" ? (marked + 1) % number : (Math.max(marked, 0) + number - 1) % number);
    } else if (event.key === "Escape" && !list.hidden) {
      event.preventDefault();
      close();
    } else if ((event.key === "Enter" || event.key === "Tab") && !list.hidden && marked >= 0) {
      event.preventDefault();
      pick(list.children[marked]);
    } else if (event.key === "ArrowLeft" || event.key === "ArrowRight" || event.key === "Home" || event.key === "End") {
      close();
    }
  });
  show(false);
  list.addEventListener("mousedown", (event) => {
    event.preventDefault(); // the field keeps the focus
    const option = event.target.closest("[role=option]");
    if (option !== null) pick(option);
  });
}

// What was found is walked through with the arrow keys, from the field of the search on.
function walk(event) {
  const step = { ArrowDown: 1, ArrowUp: -1 }[event.key];
  const field = document.getElementById("q");
  if (step === undefined || event.ctrlKey || event.metaKey || event.altKey) return;
  const stops = [field, ...document.querySelectorAll("[data-walk] a")];
  const place = document.activeElement === document.body ? 0 : stops.indexOf(document.activeElement);
  if (place < 0 || stops.length === 1) return;
  event.preventDefault();
  stops[Math.min(Math.max(place + step, 0), stops.length - 1)].focus();
}

// Returns how long the server took to make the new copy.
async function refresh() {
  if (document.hidden || document.querySelector("[data-live]") === null) return 0;
  try {
    const answer = await fetch(location.href, { headers: { accept: "text/html" } });
    if (!answer.ok) return 0;
    const copy = new DOMParser().parseFromString(await answer.text(), "text/html");
    for (const part of copy.querySelectorAll("[data-live]")) {
      const old = document.getElementById(part.id);
      if (old !== null && !isInUse(old)) replace(old, document.adoptNode(part));
    }
    return Number(/dur=([\d.]+)/.exec(answer.headers.get("server-timing"))?.[1] ?? 0);
  } catch {
    return 0; // The session has gone; the line below the navigation says so.
  }
}

const pause = (milliseconds) => new Promise((resolve) => { setTimeout(resolve, milliseconds); });
let isFollowing = false;
let isStale = false;

async function follow() {
  isStale = true;
  if (isFollowing) return;
  isFollowing = true;
  while (isStale) {
    await pause(SETTLE);
    isStale = false;
    const took = await refresh();
    await pause(Math.min(Math.max(PAUSE - SETTLE, TIMES * took), LONGEST));
  }
  isFollowing = false;
}

function listen() {
  const state = document.getElementById("connection");
  const show = (text, is) => { state.textContent = text; state.dataset.is = is; };
  const events = new EventSource(`${root}/changes`);
  let made = document.body.dataset.number;
  events.addEventListener("hello", (event) => {
    show("live", "live");
    if (event.data !== made) follow();
    made = null;
  });
  events.addEventListener("change", follow);
  events.addEventListener("error", () => show("away", "away"));
  addEventListener("pagehide", () => events.close());
  addEventListener("pageshow", (event) => { if (event.persisted) location.reload(); });
  document.addEventListener("visibilitychange", follow);
  setInterval(follow, LONGEST);
}

function setUpForms() {
  document.addEventListener("submit", (event) => {
    const text = event.submitter?.dataset.confirm ?? event.target.dataset.confirm;
    if (text !== undefined && !confirm(text)) event.preventDefault();
  });
  document.addEventListener("change", (event) => {
    const name = event.target.dataset?.all;
    if (name === undefined) return;
    for (const box of event.target.form.querySelectorAll(`input[type=checkbox][name="${name}"]`)) {
      box.checked = event.target.checked;
    }
  });
  document.addEventListener("change", (event) => {
    const name = event.target.dataset?.begin;
    if (name === undefined) return;
    const [chosen] = event.target.selectedOptions;
    const field = document.getElementById(name);
    field.value = chosen.dataset.text;
    field.form.elements.content_type.value = chosen.dataset.kind;
  });
  for (const button of document.querySelectorAll("[data-plain]")) button.hidden = true;
  document.addEventListener("keydown", (event) => {
    if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && event.target.matches("textarea")) event.target.form.requestSubmit();
  });
  document.addEventListener("keydown", (event) => {
    const isTyping = event.target.matches("input, textarea, select");
    if ((event.key === "/" && !isTyping && !event.ctrlKey && !event.metaKey) || (event.key === "k" && (event.ctrlKey || event.metaKey))) {
      const field = document.getElementById("q");
      if (field === null) return;
      event.preventDefault();
      field.focus();
      field.select();
    }
  });
  for (const button of document.querySelectorAll("[data-copy]")) {
    button.hidden = false;
    button.addEventListener("click", async () => {
      const text = document.getElementById(button.dataset.copy).textContent;
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
    });
  }
  // What a console ran is not run again when its page is loaded again.
  if (document.querySelector("form[data-once]") !== null) history.replaceState(null, "", location.href);
  if (new URLSearchParams(location.search).has("said")) {
    const address = new URL(location.href);
    address.searchParams.delete("said");
    history.replaceState(null, "", address);
  }
}

setUpTheme();
setUpForms();
document.querySelectorAll("[data-complete]").forEach(setUpCompletion);
if (document.querySelector("[data-walk]") !== null) document.addEventListener("keydown", walk);
listen();
