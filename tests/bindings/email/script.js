// Sends messages, and answers what became of each: its error, or the domain of its id.
import { EmailMessage } from "cloudflare:email";

const mail = (from, lines = ["Message-ID: <1@a.example>"]) =>
  [`From: Ada <${from}>`, "To: grace@b.example", "Subject: Raw", ...lines, "", "hello", ""].join("\r\n");
const built = { from: "ada@a.example", to: "grace@b.example", subject: "Built", text: "hello" };

async function attempt(binding, message) {
  try {
    const { messageId } = await binding.send(message);
    return messageId.replace(/<.*@/, "<...@");
  } catch (error) {
    return error.message;
  }
}

export default {
  async fetch(_request, { EMAIL, ONE, FEW, FROM }) {
    const raw = (from = "ada@a.example", to = "grace@b.example", text = mail("ada@a.example")) =>
      new EmailMessage(from, to, text);
    const stream = new Response(mail("ada@a.example")).body;
    return Response.json({
      raw: await attempt(EMAIL, raw()),
      "raw stream": await attempt(EMAIL, raw("ada@a.example", "grace@b.example", stream)),
      "raw, another sender": await attempt(EMAIL, raw("eve@a.example")),
      "raw without id": await attempt(EMAIL, raw("ada@a.example", "grace@b.example", mail("ada@a.example", []))),
      "raw received": await attempt(
        EMAIL,
        raw("ada@a.example", "grace@b.example", mail("ada@a.example", ["Message-ID: <1@a.example>", "Received: x"])),
      ),
      "raw to the one": await attempt(ONE, raw()),
      "raw to another": await attempt(ONE, raw("ada@a.example", "eve@b.example")),
      "raw to one of few": await attempt(FEW, raw()),
      "raw to none of few": await attempt(FEW, raw("ada@a.example", "eve@b.example")),
      "raw from an allowed one": await attempt(FROM, raw()),
      "raw from another": await attempt(FROM, raw("eve@a.example")),
      built: await attempt(EMAIL, built),
      "built with names": await attempt(EMAIL, {
        ...built,
        from: { name: "Ada", email: "ada@a.example" },
        to: ["grace@b.example", { name: "Eve", email: "eve@b.example" }],
        cc: "cc@b.example",
        bcc: ["bcc@b.example"],
        replyTo: "re@a.example",
        html: "<p>hello</p>",
        headers: { "X-Campaign": "1" },
        attachments: [{ filename: "a.bin", type: "x/y", disposition: "attachment", content: new Uint8Array([255, 0]) }],
      }),
      "built to none of few": await attempt(FEW, { ...built, to: ["grace@b.example", "eve@b.example"] }),
      "built from another": await attempt(FROM, { ...built, from: "eve@a.example" }),
    });
  },
};
