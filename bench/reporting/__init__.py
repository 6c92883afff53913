"""The faces of a suite's results: report, summary and page, all functions of frames. Never imports torch."""
