"""Multicast groups and multicast routing."""
