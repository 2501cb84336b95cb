// The to-dos of one person: rows of D1, each perhaps with an attachment in R2.
export class Todos {
  constructor(db, attachments, email) {
    this.db = db;
    this.attachments = attachments;
    this.email = email;
  }

  async all() {
    const { results } = await this.db
      .prepare("SELECT id, title, done, attachment FROM todos WHERE email = ? ORDER BY id")
      .bind(this.email)
      .all();
    return results.map((todo) => ({ ...todo, done: Boolean(todo.done) }));
  }

  async add(title) {
    const added = await this.db
      .prepare("INSERT INTO todos (email, title) VALUES (?, ?) RETURNING id, title")
      .bind(this.email, title)
      .first();
    return { ...added, done: false, attachment: null };
  }

  async mark(number, done) {
    const changed = await this.db
      .prepare("UPDATE todos SET done = ? WHERE id = ? AND email = ?")
      .bind(done, number, this.email)
      .run();
    return changed.meta.changes > 0;
  }

  async remove(number) {
    const removed = await this.db
      .prepare("DELETE FROM todos WHERE id = ? AND email = ?")
      .bind(number, this.email)
      .run();
    if (removed.meta.changes === 0) return false;
    await this.attachments.delete(this.#key(number));
    return true;
  }

  // Keeps the body of a request, which is never in memory as a whole.
  async attach(number, request) {
    if (!(await this.#isThere(number))) return false;
    const name = request.headers.get("x-file-name") ?? "attachment";
    await this.attachments.put(this.#key(number), request.body, {
      httpMetadata: {
        contentType: request.headers.get("content-type") ?? "application/octet-stream",
        contentDisposition: `attachment; filename*=UTF-8''${encodeURIComponent(name).replaceAll("%25", "%")}`,
      },
    });
    await this.db.prepare("UPDATE todos SET attachment = ? WHERE id = ?").bind(name, number).run();
    return true;
  }

  async attachment(number) {
    if (!(await this.#isThere(number))) return null;
    const found = await this.attachments.get(this.#key(number));
    if (found === null) return null;
    const headers = new Headers();
    found.writeHttpMetadata(headers);
    return new Response(found.body, { headers });
  }

  async #isThere(number) {
    const asked = this.db.prepare("SELECT id FROM todos WHERE id = ? AND email = ?").bind(number, this.email);
    return (await asked.first()) !== null;
  }

  #key(number) {
    return `${this.email}/${number}`;
  }
}
