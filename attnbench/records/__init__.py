"""What is stored: the lines of a run's records and of evaluations, written and read back."""
