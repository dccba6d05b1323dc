"""The codes of verdicts, and what each means."""
