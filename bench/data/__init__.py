"""Data sets, protocols, item features and the artifact cache."""
