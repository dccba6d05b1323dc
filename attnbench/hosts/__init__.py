"""Networks with an attention module in their blocks."""
