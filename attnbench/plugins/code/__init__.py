"""Which code a custom module is: the files that it imports, and what identifies them."""
