"""What an editor and a type checker need to know of the modules that worker code imports, and of a worker's `env`."""
