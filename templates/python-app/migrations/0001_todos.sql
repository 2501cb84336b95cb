CREATE TABLE todos (
  id INTEGER PRIMARY KEY,
  email TEXT NOT NULL,
  title TEXT NOT NULL,
  done INTEGER NOT NULL DEFAULT 0,
  attachment TEXT
);
CREATE INDEX todos_by_email ON todos (email);
