"""Variables: JSON values that the configuration, or the command line, gives a name in `env`."""
