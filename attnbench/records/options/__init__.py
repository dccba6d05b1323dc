"""How options of a run are declared, and patterns that they may state."""
