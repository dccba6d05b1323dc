"""What was published about the modules, and limits of one's own."""
