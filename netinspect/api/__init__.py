"""The Python API: iterators of records, a module for each noun. ``netinspect`` itself has all of its functions."""
