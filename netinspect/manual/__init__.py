"""Help, the man page, explanations and the JSON schema."""
