"""What the same statistics are of beside latency: device time, joules, single steps."""
