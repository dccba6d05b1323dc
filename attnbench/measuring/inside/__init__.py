"""Inside a network: where the seconds of a step go, apart from the timing."""
