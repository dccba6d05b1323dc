"""Tables of detectors: how precise given weights are."""
