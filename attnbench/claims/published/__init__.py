"""Published figures in tables, one row a network, and the networks among them that are no host."""
