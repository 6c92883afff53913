"""Tables, plots, markdown and leaderboards: pure functions of run results. Never imports torch."""
