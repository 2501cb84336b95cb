// What `cloudflare:email` exports. A message knows the request that sends it, under a symbol; so does the class of those
// that are objects only.

const REQUEST = Symbol.for("emulator.email.request");
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

/** The request that sends an object: its path, and JSON with the content of files in base64. */
function described(builder) {
  const isBinary = (content) => content instanceof ArrayBuffer || ArrayBuffer.isView(content);
  const attachments = builder.attachments?.map((each) =>
    isBinary(each.content) ? { ...each, content: base64(each.content) } : each,
  );
  return { path: "/send", body: JSON.stringify(attachments === undefined ? builder : { ...builder, attachments }) };
}

class EmailMessage {
  constructor(from, to, raw) {
    this.from = from;
    this.to = to;
    const request = async () => {
      const query = new URLSearchParams({ from, to });
      return { path: `/raw?${query}`, body: await new Response(raw).arrayBuffer() };
    };
    Object.defineProperty(this, REQUEST, { value: request });
  }
}
Object.defineProperty(EmailMessage, REQUEST, {
  value: (message) => (REQUEST in message ? message[REQUEST]() : described(message)),
});

export default { EmailMessage };
