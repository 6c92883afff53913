"""Recommending by generating semantic IDs: networks, beam search, and what is recorded on the way."""
