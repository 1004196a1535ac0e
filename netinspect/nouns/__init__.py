"""What the kernel has, a package for each noun. The first word of a module's name tells its layer."""
