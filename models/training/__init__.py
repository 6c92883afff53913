"""What a network learns from and how: windows and targets of a history, and the loop over them."""
