"""The files of the locks that keep measurements apart."""
