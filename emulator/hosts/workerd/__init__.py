"""Runs JavaScript workers in workerd: tools, bundling, configuration, process and connections."""
