"""Data sets, how they are filtered and split, and the artifact cache."""
