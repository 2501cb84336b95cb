"""What bindings keep: databases and files of one session, in a directory or in memory. Knows no binding kind."""
