// Runs beside a worker with service bindings, and stands for the workers that they lead to. Each call goes over the debug
// port of the process that runs the other worker, so that exceptions, https: and cf come through as within one process.
// Nothing is kept between calls: a process that was replaced gets no new ones.

import { WorkerEntrypoint } from "cloudflare:workers";

/** What workerd looks for in an entrypoint besides `fetch`; of these names there are no methods to call. */
const HANDLERS = new Set([
  "alarm",
  "connect",
  "email",
  "queue",
  "scheduled",
  "self",
  "tail",
  "tailStream",
  "test",
  "trace",
  "webSocketClose",
  "webSocketError",
  "webSocketMessage",
]);

/** A property of the other worker, which can be called, awaited, and followed further. workerd follows only properties
 * that an object has itself. */
function follow(property) {
  const get = (own, name) => {
    if (typeof name !== "string") {
      return own[name];
    }
    return name === "then" ? property.then.bind(property) : follow(property[name]);
  };
  return new Proxy((...values) => property(...values), {
    get,
    getOwnPropertyDescriptor: (own, name) => ({ value: get(own, name), configurable: true, enumerable: true }),
  });
}

export default class extends WorkerEntrypoint {
  constructor(ctx, env) {
    super(ctx, env);
    const { address, entrypoint, props, absent } = ctx.props;
    const other = absent ? null : env.DEBUG_PORT.connect(address).getEntrypoint("worker", entrypoint, props);
    const fail = () => {
      throw new Error(absent);
    };
    return new Proxy(this, {
      get(own, name) {
        if (name === "fetch") {
          return (request) => (other ? other.fetch(request) : new Response(absent, { status: 503 }));
        }
        if (typeof name !== "string" || name in own || HANDLERS.has(name)) {
          return own[name];
        }
        return other ? follow(other[name]) : fail;
      },
    });
  }
}
