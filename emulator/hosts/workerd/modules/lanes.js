// Tells the invocations of a worker apart, where somebody needs that: see lanes.py. It runs before the worker's own module,
// so that the worker finds nothing of it in `env`. What is written as EMULATOR_... is filled in from protocol.py.

import * as runtime from "cloudflare:workers"; // older versions have no env

const TOKEN = "EMULATOR_TOKEN";
const NAMES = EMULATOR_LANE_NAMES;

/** The bindings and prototypes whose methods lead to twins. */
const watched = new WeakSet();
/** What keeps the number of a lane; undefined where nobody needs it. */
const lanes = runtime.env?.[NAMES.binding];
/** What each lane was entered for last. */
const entered = [];
/** The twins of each binding, by their lanes. */
const twins = new WeakMap();

/** What runs now was invoked for, if it has a lane that is still its own. */
export function currentLane() {
  const entry = lanes?.storage.getStore();
  return entry !== undefined && entered[entry.lane] === entry ? entry.lane : undefined;
}

/** Run a handler on the lane that it was invoked on, if it was on one. */
export function onLane(ctx, handle) {
  const lane = lanes === undefined ? undefined : ctx.props?.lane;
  if (lane === undefined) {
    return handle();
  }
  Object.defineProperty(ctx, "props", { value: {}, configurable: true, enumerable: true, writable: true });
  entered[lane] = { lane };
  return lanes.storage.run(entered[lane], handle);
}

/** Values to log, marked with their lane. */
export function marked(values) {
  const lane = lanes?.marks ? currentLane() : undefined;
  if (lane === undefined) {
    return values;
  }
  const mark = `${TOKEN}${NAMES.mark}${lane} `;
  const [first, ...rest] = values;
  return typeof first === "string" ? [mark + first, ...rest] : [mark.trimEnd(), ...values];
}

/** Have the methods of a binding, its own or those of its prototype, be called on the twin of their lane. */
function leadToTwins(binding) {
  const prototype = Object.getPrototypeOf(binding);
  const isPlain = prototype === Object.prototype;
  const owner = isPlain ? binding : prototype;
  if (watched.has(owner)) {
    return;
  }
  watched.add(owner);
  for (const [name, property] of Object.entries(Object.getOwnPropertyDescriptors(owner))) {
    if (name !== "constructor" && typeof property.value === "function" && property.configurable) {
      const apply = (method, self, values) => {
        const twin = twins.get(self)?.[currentLane()];
        return Reflect.apply(isPlain && twin !== undefined ? twin[name] : method, twin ?? self, values);
      };
      Object.defineProperty(owner, name, { ...property, value: new Proxy(property.value, { apply }) });
    }
  }
}

/** Take what is the emulator's own out of `env`. */
function findTwins(env) {
  const own = `${NAMES.binding} `;
  for (const name of Object.keys(env).filter((each) => each.startsWith(own))) {
    const [lane, ...words] = name.slice(own.length).split(" ");
    const binding = env[words.join(" ")];
    if (!twins.has(binding)) {
      twins.set(binding, []);
      leadToTwins(binding);
    }
    twins.get(binding)[lane] = env[name];
    delete env[name];
  }
  delete env[NAMES.binding];
}

/** Have the emulator told how each `fetch()` ends. */
function tellFetches() {
  const report = console.error.bind(console);
  const apply = async (original, self, values) => {
    const [input, init] = values;
    const told = { fetched: String(input?.url ?? input), method: init?.method ?? input?.method ?? "GET", lane: currentLane() };
    const began = performance.now();
    try {
      const response = await Reflect.apply(original, self, values);
      told.status = response.status;
      return response;
    } catch (error) {
      told.error = String(error);
      throw error;
    } finally {
      report(TOKEN + JSON.stringify({ ...told, ms: performance.now() - began }));
    }
  };
  globalThis.fetch = new Proxy(globalThis.fetch, { apply });
}

if (lanes !== undefined) {
  findTwins(runtime.env);
}
if (EMULATOR_TELLS_FETCHES) {
  tellFetches();
}
