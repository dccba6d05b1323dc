"""What a sweep is to measure: its file, its configurations, the files that go with them."""
