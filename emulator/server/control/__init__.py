"""The control plane: what answers under `/cdn-cgi/`."""
