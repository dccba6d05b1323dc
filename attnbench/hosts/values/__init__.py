"""What a network computes with before any training: initial values, batch norms' statistics."""
