"""Text tables and JSON, from values to strings."""
