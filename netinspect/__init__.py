"""netinspect: what the Linux kernel knows of its network, asked over netlink."""

__version__ = "0.1.0"
