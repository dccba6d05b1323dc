"""What all plots share, a file for each part of a figure."""
