// Runs beside the worker and hands it what the emulator delivers: batches of messages, scheduled events and e-mail. A batch comes
// as its description in JSON, and after it the bodies of its messages; a header tells where the one ends.
// What is written as EMULATOR_... is filled in from protocol.py.

const PROTOCOL = EMULATOR_PROTOCOL;

const decoder = new TextDecoder("utf-8", { ignoreBOM: true });

function message({ id, timestamp, attempts, type, size }, bytes) {
  const common = { id, timestamp: new Date(timestamp), attempts };
  if (type === "json") {
    return { ...common, body: JSON.parse(decoder.decode(bytes)) };
  }
  if (type === "text") {
    return { ...common, body: decoder.decode(bytes) };
  }
  // A view would be serialized with all of the buffer that it looks at.
  const copy = bytes.slice();
  return type === "bytes" ? { ...common, body: copy } : { ...common, serializedBody: copy };
}

/** What an invocation raised, and why it asked for the retries of messages; nothing where nobody can tell, as what it
 * decided counts all the same. */
async function why(env, key, retried = []) {
  try {
    const asked = { method: "POST", body: JSON.stringify({ key, retried }) };
    const response = await env.CONTROL.fetch(`http://emulator${PROTOCOL.paths.why}`, asked);
    return await response.json();
  } catch {
    return { failure: null };
  }
}

/** The worker, as it is invoked on the lane of a request, if that has one. */
function worker(request, env) {
  return env[`WORKER${request.headers.get(PROTOCOL.laneHeader) ?? ""}`];
}

async function queue(request, env) {
  const content = new Uint8Array(await request.arrayBuffer());
  let at = Number(request.headers.get(PROTOCOL.descriptionHeader));
  const { queue, metrics, messages } = JSON.parse(decoder.decode(content.subarray(0, at)));
  const batch = messages.map((each) => {
    const start = at;
    at += each.size;
    return message(each, content.subarray(start, at));
  });
  const oldest = metrics.oldestMessageTimestamp;
  const metadata = {
    metrics: { ...metrics, oldestMessageTimestamp: oldest === null ? undefined : new Date(oldest) },
  };
  const result = await worker(request, env).queue(queue, batch, metadata);
  const retried = result.retryMessages.map((each) => each.msgId);
  if (result.outcome === "ok" && retried.length === 0 && !result.retryBatch.retry) {
    return Response.json(result);
  }
  return Response.json({ ...result, ...(await why(env, `queue ${batch[0].id}`, retried)) });
}

async function scheduled(request, env) {
  const { cron, scheduledTime } = await request.json();
  const result = await worker(request, env).scheduled({ cron, scheduledTime: new Date(scheduledTime) });
  if (result.outcome === "ok") {
    return Response.json({ outcome: result.outcome });
  }
  return Response.json({ outcome: result.outcome, ...(await why(env, `scheduled ${cron} ${scheduledTime}`)) });
}

/** A message that has come in: its description in JSON, and after it MIME. */
async function email(request, env) {
  const content = new Uint8Array(await request.arrayBuffer());
  const at = Number(request.headers.get(PROTOCOL.descriptionHeader));
  const { key, ...described } = JSON.parse(decoder.decode(content.subarray(0, at)));
  const act = async ({ path, body }) =>
    (await env.EMAIL.fetch(`http://email/${key}${path}`, { method: "POST", body })).json();
  return Response.json(await worker(request, env).email({ email: { ...described, raw: content.slice(at) }, act }));
}

/** A body without its coding. workerd decodes what one worker answers another. */
async function decode(request, env) {
  const { body } = await env.CODED.fetch(request);
  return new Response(body);
}

export const coded = {
  fetch({ body, headers }) {
    const coding = headers.get(PROTOCOL.codingHeader);
    return new Response(body, { encodeBody: "manual", headers: { "content-encoding": coding } });
  },
};

export default {
  async fetch(request, env) {
    const { pathname } = new URL(request.url);
    try {
      if (pathname === PROTOCOL.paths.queue) {
        return await queue(request, env);
      }
      if (pathname === PROTOCOL.paths.scheduled) {
        return await scheduled(request, env);
      }
      if (pathname === PROTOCOL.paths.email) {
        return await email(request, env);
      }
      if (pathname === PROTOCOL.paths.decode) {
        return await decode(request, env);
      }
      return await env.CONTROL.fetch(request);
    } catch (error) {
      return new Response(String(error?.stack ?? error), { status: 500 });
    }
  },
};
