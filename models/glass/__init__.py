"""GLASS (arXiv 2602.05663): long-term interests for generative recommendation, coarse to fine."""
