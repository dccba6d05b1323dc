"""Ways to damage what the suite has written."""
