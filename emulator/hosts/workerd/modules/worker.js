// The main module of every JavaScript worker: the worker's own module, as it is, and beside it two entrypoints for the
// emulator. The first runs the worker's handlers and keeps what they raise; the second tells about them. What is written
// as EMULATOR_... is filled in from protocol.py.

import { currentLane, marked, onLane } from "./EMULATOR_LANES"; // before the worker's module, which is to see nothing of it
import { WorkerEntrypoint } from "cloudflare:workers";
import * as worker from "./EMULATOR_MAIN";
export * from "./EMULATOR_MAIN";

const TOKEN = "EMULATOR_TOKEN";
const PROTOCOL = EMULATOR_PROTOCOL;
const MOST_CAUSES = 5;
const MOST_REASONS = 5000;
const NOTHING = { type: "", message: "", stack: "", causes: [] };

const main = worker.default;
if (main === undefined || main === null) {
  throw new TypeError(`${TOKEN} ${PROTOCOL.noDefaultExport}`);
}

const isClass = typeof main === "function";
/** The worker's own handlers, by name. */
const handlers = Object.fromEntries(PROTOCOL.handlers.map((name) => [name, handler(name)]));
const report = console.error.bind(console);

/** Why messages are to be retried, by their ids, until the delivery module asks for it; of `retryAll`, by the key of its
 * batch. A call that had no effect leaves a reason behind: the oldest ones go. */
const reasons = new Map();
/** What was logged last in this turn of the event loop, and is the reason of the next retry. */
let logged;
/** The prototypes of messages and batches whose methods note it. */
const watched = new WeakSet();

function noteLogged(values, isText) {
  const error = values.find((value) => value instanceof Error);
  if (error === undefined && (!isText || logged instanceof Error)) {
    return;
  }
  if (logged === undefined) {
    queueMicrotask(() => {
      logged = undefined;
    });
  }
  logged = error ?? values.map((value) => (typeof value === "string" ? value : JSON.stringify(value))).join(" ");
}

for (const name of ["error", "warn", "info", "log", "debug"]) {
  const original = console[name];
  const isText = name === "error" || name === "warn";
  console[name] = (...values) => {
    // First this: workerd loads what it writes lines with when it first does so, and runs microtasks in doing that.
    original.apply(console, marked(values));
    try {
      noteLogged(values, isText);
    } catch {}
  };
}

/** Have a method of workerd's that asks for a retry note the reason, under what `keyOf` gives for its object. */
function noteReasons(object, method, keyOf) {
  const prototype = Object.getPrototypeOf(object);
  if (watched.has(prototype)) {
    return;
  }
  watched.add(prototype);
  const original = prototype[method];
  prototype[method] = function (...options) {
    original.apply(this, options);
    if (logged !== undefined) {
      reasons.set(keyOf(this), logged instanceof Error ? described(logged) : { ...NOTHING, message: logged });
      logged = undefined;
      if (reasons.size > MOST_REASONS) {
        reasons.delete(reasons.keys().next().value);
      }
    }
  };
}

function taken(map, key) {
  const value = map.get(key) ?? null;
  map.delete(key);
  return value;
}

/** The prototypes of entrypoints whose calls are counted. */
const counting = new WeakSet();
/** Where bindings count what they have not done yet. */
const PENDING = Symbol.for("emulator.pending");
/** How many calls of other workers, and pieces of work of `waitUntil`, have begun and not ended. */
let pending = 0;
/** Whether calls of other workers have ended whose results may still be on their way to them. */
let leaving = false;
/** How long a result takes to leave at most, in milliseconds; workerd does not tell when it has. */
const LEAVING_MS = 50;
/** Failures of `queue` and `scheduled`, by what they were called with, until the delivery module asks for them. */
const failures = new Map();

function handler(name) {
  const owner = isClass ? main.prototype : main;
  return typeof owner?.[name] === "function" ? owner[name] : undefined;
}

/** What is known of what a handler threw, which may be anything. */
function described(error) {
  try {
    return describedInFull(error);
  } catch {
    return { type: "", message: "thrown: a value that cannot be described", stack: "", causes: [] };
  }
}

function describedInFull(error) {
  if (!(error instanceof Error)) {
    let text;
    try {
      text = typeof error === "string" ? error : JSON.stringify(error);
    } catch {}
    return { ...NOTHING, message: `thrown: ${text ?? String(error)}` };
  }
  const causes = [];
  let cause = error.cause;
  while (cause instanceof Error && causes.length < MOST_CAUSES) {
    causes.push(String(cause.stack));
    cause = cause.cause;
  }
  return { type: String(error.name), message: String(error.message), stack: String(error.stack), causes };
}

/** Count the work of `waitUntil`, and have `failed` called with what it rejects with. */
function watch(ctx, failed) {
  const original = ctx.waitUntil;
  ctx.waitUntil = (work) => {
    pending += 1;
    original.call(
      ctx,
      Promise.resolve(work).then(
        () => {
          pending -= 1;
        },
        (error) => {
          pending -= 1;
          failed(error);
        },
      ),
    );
  };
}

/** A function that other workers call, with its calls counted until they have ended; it returns what it always did. */
function counted(method) {
  const ended = () => {
    pending -= 1;
    leaving = true;
  };
  return new Proxy(method, {
    apply(original, self, values) {
      const ctx = self instanceof WorkerEntrypoint ? self.ctx : values[2];
      if (typeof ctx?.waitUntil === "function" && !Object.hasOwn(ctx, "waitUntil")) {
        watch(ctx, reportLate("waitUntil"));
      }
      pending += 1;
      let result;
      try {
        result = Reflect.apply(original, self, values);
      } finally {
        if (!(result instanceof Promise)) {
          ended();
        }
      }
      return result instanceof Promise ? result.finally(ended) : result;
    },
  });
}

/** Have the methods of an entrypoint, its own and those that it inherits, count their calls. */
function countCalls(entrypoint) {
  let prototype = entrypoint.prototype ?? null;
  while (prototype !== null && prototype !== Object.prototype && prototype !== WorkerEntrypoint.prototype) {
    if (!counting.has(prototype)) {
      counting.add(prototype);
      for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(prototype))) {
        if (name !== "constructor" && typeof property.value === "function" && property.configurable) {
          Object.defineProperty(prototype, name, { ...property, value: counted(property.value) });
        }
      }
    }
    prototype = Object.getPrototypeOf(prototype);
  }
}

for (const exported of Object.values(worker)) {
  if (typeof exported === "function" && (exported === main || exported.prototype instanceof WorkerEntrypoint)) {
    countCalls(exported);
  }
}

/** What other workers call. Of an object, workerd calls only methods that it has itself. */
export default isClass
  ? main
  : new Proxy(main, { get: (own, name) => (typeof own[name] === "function" ? counted(own[name]) : own[name]) });

function reportLate(trigger) {
  return (error) => report(TOKEN + JSON.stringify({ trigger, lane: currentLane(), ...described(error) }));
}

async function answered(request, env, ctx) {
  watch(ctx, reportLate("waitUntil"));
  try {
    const response = await (isClass ? handlers.fetch.call(new main(ctx, env), request) : main.fetch(request, env, ctx));
    if (response instanceof Response) {
      return response;
    }
    const hint = response === undefined ? "; is a return missing?" : "";
    const kind = response === null ? "null" : typeof response;
    throw new TypeError(`the fetch handler must return a Response, not ${kind}${hint}`);
  } catch (error) {
    return Response.json(described(error), { status: 500, headers: { [PROTOCOL.failureHeader]: TOKEN } });
  }
}

/** A message that has come in. `act` has the emulator do something with it: a path, a body, and what comes of it. */
class ForwardableEmailMessage {
  #act;
  #acting = [];

  constructor({ from, to, headers, raw }, act) {
    this.#act = async (path, body) => {
      const { code, error, messageId } = await act({ path, body });
      if (error !== undefined) {
        throw Object.assign(new Error(error), code ? { code } : {});
      }
      return { messageId };
    };
    this.from = from;
    this.to = to;
    this.headers = new Headers(headers);
    this.raw = new Response(raw).body;
    this.rawSize = raw.byteLength;
    this.canBeForwarded = true;
  }

  setReject(reason) {
    this.#acting.push(this.#act("/reject", JSON.stringify({ reason: String(reason) })));
  }

  forward(to, headers) {
    return this.#act("/forward", JSON.stringify({ to, headers: [...new Headers(headers)] }));
  }

  async reply(message) {
    const { EmailMessage } = await import("cloudflare:email");
    const { path, body } = await EmailMessage[Symbol.for("emulator.email.request")](message);
    return this.#act(`/reply${path}`, body);
  }

  static async finished(message) {
    await Promise.all(message.#acting);
  }
}

async function run(name, event, env, ctx, key) {
  let failed;
  const fail = (error) => {
    if (failed === undefined) {
      failed = true;
      failures.set(key, described(error));
    }
    throw error;
  };
  watch(ctx, fail);
  try {
    await (isClass ? handlers[name].call(new main(ctx, env), event) : main[name](event, env, ctx));
  } catch (error) {
    fail(error);
  }
}

async function received(message, env, ctx) {
  watch(ctx, reportLate("waitUntil"));
  try {
    await (isClass ? handlers.email.call(new main(ctx, env), message) : main.email(message, env, ctx));
    await ForwardableEmailMessage.finished(message);
    return { outcome: "ok" };
  } catch (error) {
    return { outcome: "exception", failure: described(error) };
  }
}

export const EMULATOR_INVOKE = {
  fetch(request, env, ctx) {
    return onLane(ctx, () => answered(request, env, ctx));
  },
  queue(batch, env, ctx) {
    const key = (of) => `queue ${of.messages[0].id}`;
    noteReasons(batch, "retryAll", key);
    noteReasons(batch.messages[0], "retry", (message) => message.id);
    return onLane(ctx, () => run("queue", batch, env, ctx, key(batch)));
  },
  scheduled(controller, env, ctx) {
    const key = `scheduled ${controller.cron} ${controller.scheduledTime}`;
    return onLane(ctx, () => run("scheduled", controller, env, ctx, key));
  },
  email({ email, act }, env, ctx) {
    return onLane(ctx, () => received(new ForwardableEmailMessage(email, act), env, ctx));
  },
};

/** Leave the worker's own names in `ctx.exports`, which every invocation shares. */
function hideOwnNames({ exports }) {
  if (exports !== undefined) {
    delete exports.EMULATOR_INVOKE;
    delete exports.EMULATOR_CONTROL;
  }
}

export const EMULATOR_CONTROL = {
  async fetch(request, env, ctx) {
    const url = new URL(request.url);
    if (url.pathname === PROTOCOL.paths.handlers) {
      hideOwnNames(ctx);
      return Response.json(PROTOCOL.handlers.filter((name) => handlers[name]));
    }
    if (url.pathname === PROTOCOL.paths.idle) {
      while (pending > 0 || leaving || globalThis[PENDING] > 0) {
        const wait = pending > 0 || globalThis[PENDING] > 0 ? 10 : LEAVING_MS;
        leaving = false;
        await scheduler.wait(wait);
      }
      return new Response(null, { status: 204 });
    }
    const { key, retried } = await request.json();
    const causes = {};
    for (const id of retried) {
      const cause = taken(reasons, id);
      if (cause !== null) {
        causes[id] = cause;
      }
    }
    return Response.json({ failure: taken(failures, key), causes, retryAllCause: taken(reasons, key) });
  },
};
