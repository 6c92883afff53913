"""Reading a long history: splitting, searching and copying from it."""
