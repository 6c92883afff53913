"""What a training step, an answer and their preparation cost, beside what the machine can do."""
