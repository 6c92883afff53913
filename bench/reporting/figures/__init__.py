"""Pictures of a report, drawn from the numbers of `bench.analysis`."""
