"""Snapshots: what the kernel has of several nouns, written to a file, read again as records, and compared.

A file is NDJSON in ASCII. The first line is the header, ``{"noun": "snapshot", …}``; then each record is a line that
says its noun and has the fields of `netinspect schema`; the last line, ``{"noun": "end", …}``, counts them and shows
what could not be listed. A file without it was cut short.
"""
