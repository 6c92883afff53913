"""The numbers of a report: frames with declared columns, made once per data set. Draws nothing."""
