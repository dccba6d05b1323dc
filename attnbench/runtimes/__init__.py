"""What executes a network: one table, and a file for each runtime."""
