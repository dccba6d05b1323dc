"""What the options of a run can be, without torch."""
