// What a worker sees of D1: the results of the SQL that the request brings, and each step's result, or the words of its
// error. Run by workerd with our databases, by `workerd serve` with its own, and, translated by hand, in Python.
const shown = ({ meta, ...result }) => ({
  ...result,
  changes: meta.changes,
  last: meta.last_row_id,
  changed: meta.changed_db,
  read: meta.rows_read,
  written: meta.rows_written,
});

const read = async (call) => {
  try {
    const value = await call();
    return value === undefined ? "undefined" : value;
  } catch (error) {
    return `${error.name}: ${error.message}`;
  }
};

const all = async (statement) => (await statement.all()).results;

export const steps = (db) => ({
  "create": () => db.exec("CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT UNIQUE)").then(({ count }) => count),
  "bind numbers": () => all(db.prepare("SELECT typeof(?1) a, ?1 / 2 b, typeof(?2) c").bind(1, 1.5)),
  "bind booleans": () => all(db.prepare("SELECT ? a, ? b").bind(true, false)),
  "bind null": () => all(db.prepare("SELECT ? a").bind(null)),
  "bind bytes": () => all(db.prepare("SELECT typeof(?1) a, ?1 b").bind(new Uint8Array([0, 255]))),
  "bind a list of bytes": () => all(db.prepare("SELECT typeof(?1) a, ?1 b").bind([1, 2])),
  "bind a list of others": () => all(db.prepare("SELECT ?").bind([300, 1])),
  "bind an object": () => all(db.prepare("SELECT ?").bind({ a: 1 })),
  "bind a large number": () => all(db.prepare("SELECT ?").bind(2n ** 60n)),
  "bind infinity": () => all(db.prepare("SELECT ? a").bind(Infinity)),
  "bind too few": () => all(db.prepare("SELECT ?, ?").bind(1)),
  "bind too many": () => all(db.prepare("SELECT ?").bind(1, 2)),
  "bind by names": () => all(db.prepare("SELECT :a b").bind(1)),
  "bind only the last": () => all(db.prepare("SELECT 1; SELECT ? a").bind("x")),
  "run": () => db.prepare("INSERT INTO notes (text) VALUES (?)").bind("one").run().then(shown),
  "run a query": () => db.prepare("SELECT text FROM notes").run().then(shown),
  "all": () => db.prepare("SELECT * FROM notes").all().then(shown),
  "keys of meta": () =>
    db.prepare("SELECT 1").all().then(({ meta }) => [Object.keys(meta).sort(), Object.keys(meta.timings)]),
  "first": () => db.prepare("SELECT id, text FROM notes").first(),
  "first of a column": () => db.prepare("SELECT id, text FROM notes").first("text"),
  "first of no column": () => db.prepare("SELECT id, text FROM notes").first("zz"),
  "first of none": () => db.prepare("SELECT id FROM notes WHERE id = 9").first(),
  "first of a null": () => db.prepare("SELECT NULL a").first("a"),
  "raw": () => db.prepare("SELECT 1 a, 2 a").raw(),
  "raw with names": () => db.prepare("SELECT 1 a, 2 a").raw({ columnNames: true }),
  "raw of none with names": () => db.prepare("SELECT id, text FROM notes WHERE id = 9").raw({ columnNames: true }),
  "batch": async () => (await db.batch([
    db.prepare("INSERT INTO notes (text) VALUES ('two')"),
    db.prepare("SELECT text FROM notes ORDER BY id"),
  ])).map(shown),
  "batch that fails": () => db.batch([
    db.prepare("INSERT INTO notes (text) VALUES ('three')"),
    db.prepare("INSERT INTO notes (text) VALUES ('one')"),
  ]),
  "what it left": () => db.prepare("SELECT group_concat(text) a FROM notes").first("a"),
  "batch of nothing": () => db.batch([]),
  "exec": () => db.exec("INSERT INTO notes (text) VALUES ('4')\nINSERT INTO notes (text) VALUES ('5')").then((r) => r.count),
  "exec of blank lines": () => db.exec("SELECT 1\n\nSELECT 2\n").then((r) => r.count),
  "exec of two in a line": () => db.exec("SELECT 1; SELECT 2").then((r) => r.count),
  "exec over lines": () => db.exec("SELECT 1,\n2"),
  "exec that fails": () => db.exec("INSERT INTO notes (text) VALUES ('6')\nbad sql"),
  "exec of nothing": () => db.exec(""),
  "no text": () => db.prepare(42).all(),
  "bookmark of a new session": () => db.withSession().getBookmark(),
  "bookmark of a session": async () => {
    const session = db.withSession("first-primary");
    await session.prepare("SELECT 1").all();
    const first = session.getBookmark();
    await session.batch([session.prepare("INSERT INTO notes (text) VALUES ('7')")]);
    return [typeof first, first < session.getBookmark(), db.withSession(first).getBookmark() === first];
  },
  "dump": () => db.dump(),
});

export default {
  async fetch(request, env) {
    const queries = [];
    for (const [sql, params] of await request.json()) {
      queries.push(await read(() => env.DB.prepare(sql).bind(...params).all().then(shown)));
    }
    const results = {};
    for (const [name, step] of Object.entries(steps(env.OTHER))) results[name] = await read(step);
    return Response.json({ queries, results });
  },
};
