// A binding of a JavaScript worker that sends e-mail: the emulator keeps what is sent.

const RAW = Symbol.for("emulator.email.raw");
const PIECE = 0x8000;

function base64(content) {
  const bytes = ArrayBuffer.isView(content)
    ? new Uint8Array(content.buffer, content.byteOffset, content.byteLength)
    : new Uint8Array(content);
  let text = "";
  for (let start = 0; start < bytes.length; start += PIECE) {
    text += String.fromCharCode(...bytes.subarray(start, start + PIECE));
  }
  return btoa(text);
}

function described(builder) {
  const isBinary = (content) => content instanceof ArrayBuffer || ArrayBuffer.isView(content);
  const attachments = builder.attachments?.map((each) =>
    isBinary(each.content) ? { ...each, content: base64(each.content) } : each,
  );
  return JSON.stringify(attachments === undefined ? builder : { ...builder, attachments });
}

async function request(fetcher, message) {
  if (RAW in message) {
    const query = new URLSearchParams({ from: message.from, to: message.to });
    const body = await new Response(message[RAW]).arrayBuffer();
    return fetcher.fetch(`http://email/raw?${query}`, { method: "POST", body });
  }
  return fetcher.fetch("http://email/send", { method: "POST", body: described(message) });
}

export default ({ fetcher }) => ({
  async send(message) {
    const { code, error, messageId } = await (await request(fetcher, message)).json();
    if (error !== undefined) throw Object.assign(new Error(error), code ? { code } : {});
    return { messageId };
  },
});
