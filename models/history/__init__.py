"""Reading a long history: where its long-term part ends, searching it, and copying from it."""
