"""Links and their addresses."""
