"""Tables of the runtimes beside each other."""
