"""Single steps, where medians over rounds hide the slow ones."""
