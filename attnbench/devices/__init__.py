"""What a device is to the suite: its clock, its memory, its facts, its failures."""
