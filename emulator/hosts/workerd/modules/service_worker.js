// Stands in for the module of a worker that is written in service-worker syntax: bindings are globals, and handlers are
// listeners of fetch, scheduled, queue and email. Its code is a script, which is run here; what its listeners are given are
// events of our own, because workerd has its own for scripts only. EMULATOR_MAIN is filled in from protocol.py.

import { env } from "cloudflare:workers";

const HANDLERS = EMULATOR_HANDLERS;
const LOCAL = /^(?:(?:.*\.)?localhost|127\..*|0\.0\.0\.0|\[::1?\])$/;

class ExtendableEvent extends Event {
  #ctx;

  constructor(type, ctx) {
    super(type);
    this.#ctx = ctx;
  }

  waitUntil(work) {
    this.#ctx.waitUntil(work);
  }
}

class FetchEvent extends ExtendableEvent {
  #answer;
  #ctx;
  #isOver = false;

  constructor(request, ctx) {
    super("fetch", ctx);
    this.#ctx = ctx;
    this.request = request;
  }

  passThroughOnException() {
    this.#ctx.passThroughOnException();
  }

  respondWith(response) {
    if (this.#isOver) {
      const message = "Too late to call FetchEvent.respondWith(). It must be called synchronously in the event handler.";
      throw new DOMException(message, "InvalidStateError");
    }
    if (this.#answer !== undefined) {
      const message = "FetchEvent.respondWith() has already been called; it can only be called once.";
      throw new DOMException(message, "InvalidStateError");
    }
    this.#answer = Promise.resolve(response);
    this.stopImmediatePropagation();
  }

  /** The answer of the listener that has responded. Where none has, the request goes on to its origin. */
  static answered(event) {
    dispatch(event);
    event.#isOver = true;
    if (event.#answer === undefined && LOCAL.test(new URL(event.request.url).hostname)) {
      throw new TypeError("no listener of fetch called event.respondWith(), and there is no origin that could answer");
    }
    return event.#answer ?? fetch(event.request);
  }
}

class ScheduledEvent extends ExtendableEvent {
  #controller;

  constructor(controller, ctx) {
    super("scheduled", ctx);
    this.#controller = controller;
    this.cron = controller.cron;
    this.scheduledTime = controller.scheduledTime;
  }

  noRetry() {
    this.#controller.noRetry();
  }
}

class QueueEvent extends ExtendableEvent {
  #batch;

  constructor(batch, ctx) {
    super("queue", ctx);
    this.#batch = batch;
    this.queue = batch.queue;
    this.messages = batch.messages;
    this.metadata = batch.metadata;
  }

  ackAll() {
    this.#batch.ackAll();
  }

  retryAll(options) {
    this.#batch.retryAll(options);
  }
}

class EmailEvent extends ExtendableEvent {
  constructor(message, ctx) {
    super("email", ctx);
    this.message = message;
  }
}

/** What a listener threw, by its event. */
const thrown = new WeakMap();
/** What was added in place of each listener of the user's. */
const guards = new WeakMap();
const listened = new Set();
const { addEventListener, removeEventListener } = globalThis;

/** A listener that keeps what the user's throws, which ends the event in production, but from some compatibility date on
 * is only reported to whoever dispatches an event. */
function guarded(type, listener) {
  const isListener = typeof listener === "function" || (typeof listener === "object" && listener !== null);
  if (!isListener || !HANDLERS.includes(type)) {
    return listener;
  }
  if (!guards.has(listener)) {
    guards.set(listener, function (event) {
      try {
        return typeof listener === "function" ? listener.call(this, event) : listener.handleEvent(event);
      } catch (error) {
        thrown.set(event, { error });
        event.stopImmediatePropagation();
      }
    });
  }
  return guards.get(listener);
}

function dispatch(event) {
  dispatchEvent(event);
  const failed = thrown.get(event);
  if (failed !== undefined) {
    throw failed.error;
  }
}

globalThis.addEventListener = function (type, listener, ...options) {
  addEventListener.call(this ?? globalThis, type, guarded(type, listener), ...options);
  listened.add(type);
};
globalThis.removeEventListener = function (type, listener, ...options) {
  removeEventListener.call(this ?? globalThis, type, guarded(type, listener), ...options);
};

const handlers = {
  fetch: (request, _env, ctx) => FetchEvent.answered(new FetchEvent(request, ctx)),
  scheduled: (controller, _env, ctx) => dispatch(new ScheduledEvent(controller, ctx)),
  queue: (batch, _env, ctx) => dispatch(new QueueEvent(batch, ctx)),
  email: (message, _env, ctx) => dispatch(new EmailEvent(message, ctx)),
};

Object.assign(globalThis, { ExtendableEvent, FetchEvent, ScheduledEvent }, env);

await import("./EMULATOR_MAIN");

const present = HANDLERS.filter((name) => listened.has(name));
export default present.length > 0 ? Object.fromEntries(present.map((name) => [name, handlers[name]])) : undefined;
