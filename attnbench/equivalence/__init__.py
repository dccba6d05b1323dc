"""Whether two modules compute the same: a copy found somewhere, and the paper's."""
