"""What the command ``run`` shows: beforehand, meanwhile, and where something fails."""
