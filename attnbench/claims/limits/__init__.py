"""The limits that a repository sets for its own modules: their file, and whether they hold."""
