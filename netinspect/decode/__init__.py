"""From messages to batches of records, one module a family: the only place where attribute numbers live."""
