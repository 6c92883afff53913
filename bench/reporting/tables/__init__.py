"""Tables of a report as markdown, written from the numbers of `bench.analysis`."""
