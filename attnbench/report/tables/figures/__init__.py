"""The columns of a run's frame, each file those of one kind of figure."""
