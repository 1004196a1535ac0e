"""What other sources add to a record: owners, peers, names, cgroups."""
