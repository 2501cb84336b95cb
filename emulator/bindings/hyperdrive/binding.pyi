class Hyperdrive:
    """Says where a database is, and how to log in there."""

    connectionString: str
    host: str
    port: int
    user: str
    password: str
    database: str
