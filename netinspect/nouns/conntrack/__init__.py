"""Connection tracking."""
