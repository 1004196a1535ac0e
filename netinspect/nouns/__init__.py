"""One package for each noun. The first word of a module's name is its layer."""
