"""What a module costs on this machine: rounds of timing, memory, self-test."""
