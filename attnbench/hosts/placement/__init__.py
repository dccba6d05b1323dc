"""Where a module can stand in any network: found from one forward of tensors without data."""
