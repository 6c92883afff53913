"""What a saved model says to users: lists in original ids, and why an item is in one."""
