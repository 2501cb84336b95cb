"""What runs JavaScript workers around workerd: its tools, bundling, configuration, process, and connections."""
