"""Where data sets come from: one module for each format or published data set."""
