"""From records to bytes: tables, JSON, CSV and netstat's own layouts."""
