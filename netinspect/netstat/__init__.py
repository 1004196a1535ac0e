"""net-tools' netstat: layouts and options. Every fact comes from the nouns."""
