"""The sentences beside a run's tables, each file those of one question."""
