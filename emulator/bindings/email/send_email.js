// A binding of a JavaScript worker that sends e-mail: the emulator keeps what is sent.

import email from "cloudflare-internal:email";

const REQUEST = Symbol.for("emulator.email.request");

export default ({ fetcher }) => ({
  async send(message) {
    const { path, body } = await email.EmailMessage[REQUEST](message);
    const response = await fetcher.fetch(`http://email${path}`, { method: "POST", body });
    const { code, error, messageId } = await response.json();
    if (error !== undefined) throw Object.assign(new Error(error), code ? { code } : {});
    return { messageId };
  },
});
