"""Many configurations on one machine or on many: each once, alone on its device, none lost."""
