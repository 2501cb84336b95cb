"""Variables: JSON values from the configuration or the command line, by name in `env`."""
