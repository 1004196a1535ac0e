"""Numbers of the kernel's interfaces, each module those of the header that it names."""
