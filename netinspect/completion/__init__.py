"""Completion in shells: scripts made of the option tables, and the values that only the machine knows."""
