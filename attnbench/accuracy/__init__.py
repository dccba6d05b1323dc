"""How often given weights are right on a folder of images."""
