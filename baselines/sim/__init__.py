"""SIM: search of a user's lifelong history, for a ranking of candidates."""
