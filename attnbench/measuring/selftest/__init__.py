"""Whether the suite's own intervals are right: on simulated machines, and on this one."""
