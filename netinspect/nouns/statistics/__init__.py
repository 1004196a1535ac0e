"""Protocol statistics."""
