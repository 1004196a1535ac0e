"""Packets that the kernel drops, and every counter of drops."""
