"""What custom code may change in the process that it shares with the others, and who notices."""
