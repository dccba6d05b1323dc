"""The commands of sweeps: what they show beforehand, meanwhile and at the end."""
