"""The fresh processes over which a run's rounds are spread, and what differs between them."""
