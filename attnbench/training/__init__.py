"""Train the plain host and each module under one recipe, paired by seed, with a control."""
