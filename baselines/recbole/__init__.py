"""Models of RecBole behind this project's interface."""
