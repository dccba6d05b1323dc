"""The machine and the process: facts, disturbances, fixed settings, worker processes."""
