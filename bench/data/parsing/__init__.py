"""What stands in a cell: the rules for columns, ids, times, quotes and rows that all loaders share."""
