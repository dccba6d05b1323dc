"""Tables of what a profiler saw inside the networks."""
