"""The command line: one module for each group of commands, and the options that they share."""
