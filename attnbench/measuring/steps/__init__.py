"""The steps of a run, each in the process that it needs."""
