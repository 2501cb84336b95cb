"""What bindings keep."""
