"""Running a grid: scheduler, worker, result store."""
