"""Netlink: message framing and the dump transport, independent of attribute numbers and of all other packages."""
