// Does with a message what its subject says.
import { EmailMessage } from "cloudflare:email";

const raw = (from, subject, ...headers) =>
  [`From: ${from}`, `Subject: ${subject}`, ...headers, "", "an answer", ""].join("\r\n");

export default {
  async email(message, env, ctx) {
    const subject = message.headers.get("subject");
    const content = await new Response(message.raw).text();
    if (subject === "look") {
      const { from, to, rawSize, canBeForwarded, headers } = message;
      const last = content.trimEnd().split("\r\n").at(-1);
      const seen = [from, to, rawSize, canBeForwarded, headers.get("x-many"), last, /bcc/i.test(content)];
      await env.SEEN.put("seen", JSON.stringify(seen));
    } else if (subject === "reject") {
      message.setReject("no thanks");
    } else if (subject === "forward") {
      const sent = await message.forward("ops@b.example", new Headers({ "X-Why": "because" }));
      if (!sent.messageId.endsWith("@b.example>")) throw new Error(sent.messageId);
      await message.forward("more@b.example");
    } else if (subject === "raise") {
      throw new RangeError("no luck");
    } else {
      const id = message.headers.get("message-id");
      try {
        if (subject === "reply") {
          await message.reply({ from: message.to, subject: "Re: reply", text: "hello" });
        } else if (subject === "raw") {
          const answer = raw(message.to, "Re: raw", `In-Reply-To: ${id}`);
          await message.reply(new EmailMessage(message.to, "x@x.example", answer));
        } else if (subject === "raw without") {
          await message.reply(new EmailMessage(message.to, "x@x.example", raw(message.to, "Re")));
        } else {
          await message.reply(new EmailMessage("eve@b.example", "x@x.example", raw(message.to, "Re")));
        }
      } catch (error) {
        message.setReject(error.message);
      }
    }
  },
};
