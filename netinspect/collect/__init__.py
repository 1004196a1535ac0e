"""The public Python API: iterators of records. Nothing here prints."""
