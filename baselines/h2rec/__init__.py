"""H2Rec: semantic IDs and item IDs side by side in one network."""
