"""The way of a packet: what the kernel would do with it, from interface to interface."""
