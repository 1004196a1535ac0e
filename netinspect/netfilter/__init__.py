"""The nftables ruleset."""
