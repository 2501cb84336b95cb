// Stands in for a mail service: it prints what it would send, and fails for addresses at fail.example.
export async function sendMail(recipient, subject, text) {
  if (recipient.endsWith("@fail.example")) {
    throw new Error(`the mail service did not take the e-mail to ${recipient}`);
  }
  console.log(`E-mail to ${recipient}: ${subject}\n${text}`);
}
