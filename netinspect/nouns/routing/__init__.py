"""Routes, rules, neighbours and next hops."""
