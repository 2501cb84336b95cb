// What stands in for a mail service. It refuses addresses at fail.example.

export async function sendWelcomeEmail(sender: string, recipient: string): Promise<void> {
  if (recipient.endsWith("@fail.example")) {
    throw new Error(`the mail service did not take the e-mail to ${recipient}`);
  }
  console.log(`Welcome e-mail from ${sender} to ${recipient}`);
}
