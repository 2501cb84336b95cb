// A browser that is just enough for the page of the queue templates: `node browser.mjs URL [EMAIL ...]` opens the page and
// signs the addresses up. Each time that the page waits before it looks into the queues again, and at the end, it prints a
// line of JSON: what the page shows.

const [url, ...emails] = process.argv.slice(2);
const html = await (await fetch(url)).text();
const elements = {};

class Element {
  children = [];
  parentNode = null;

  get firstChild() {
    return this.children[0];
  }

  get text() {
    return this.textContent ?? this.children.map((child) => child.text ?? child).join(" ");
  }

  addEventListener(type, listener) {
    this[`on${type}`] = listener;
  }

  replaceChildren(...children) {
    for (const child of this.children) if (child instanceof Element) child.parentNode = null;
    this.children = [];
    for (const child of children.reverse()) this.prepend(child);
  }

  prepend(child) {
    if (child instanceof Element) {
      if (child.parentNode) child.parentNode.children = child.parentNode.children.filter((each) => each !== child);
      child.parentNode = this;
    }
    this.children.unshift(child);
  }

  reset() {}
}

function find(name) {
  const made = { hidden: html.includes(`id="${name}" hidden`), action: html.match(/<form action="([^"]*)"/)[1] };
  return (elements[name] ??= Object.assign(new Element(), made));
}

function report() {
  const texts = ["waiting", "delivered", "dead"].map((id) => [id, find(id).children.map((item) => item.text)]);
  const state = { hidden: find("queues").hidden, answer: find("output").text, ...Object.fromEntries(texts) };
  process.stdout.write(`${JSON.stringify(state)}\n`);
}

const page = {
  location: new URL(url),
  document: { querySelector: find, getElementById: find, createElement: () => new Element() },
  fetch: (path, options) => fetch(new URL(path, url), options),
  FormData: class {
    constructor(form) {
      return form.fields;
    }
  },
  setTimeout(done) {
    report();
    setTimeout(done, 20);
  },
};
process.on("exit", report);

new Function(...Object.keys(page), html.match(/<script>(.*)<\/script>/s)[1])(...Object.values(page));
for (const email of emails) {
  find("form").fields = { email };
  await find("form").onsubmit({ preventDefault() {} });
}
