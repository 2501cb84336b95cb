// What `cloudflare:email` exports. The binding that sends a message finds its content under a symbol.

const RAW = Symbol.for("emulator.email.raw");

class EmailMessage {
  constructor(from, to, raw) {
    this.from = from;
    this.to = to;
    Object.defineProperty(this, RAW, { value: raw });
  }
}

export default { EmailMessage };
