"""The ruleset of nftables: ``ruleset`` reads it, ``evaluate`` walks a ``packet`` through it."""
