"""What is settled before anything is trained: the task that options state, and what fits it."""
