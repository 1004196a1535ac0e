"""Netlink itself: message framing and the dump transport. Knows no attribute number and nothing of ours above it."""
