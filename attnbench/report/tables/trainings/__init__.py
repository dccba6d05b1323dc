"""The tables of trainings."""
