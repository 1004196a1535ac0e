"""What this kernel, its configuration and this user's privileges support."""
