"""One short module for each noun: arguments to request, records to renderer."""
