"""From raw seconds to a figure with its uncertainty."""
