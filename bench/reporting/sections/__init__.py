"""The sections of a report, one file each; `registry` has them in their order."""
