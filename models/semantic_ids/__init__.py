"""Semantic IDs: tokenizers, collisions, health, the prefix trie."""
