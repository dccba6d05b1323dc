"""The error of bad input, as opposed to a defect: one line on stderr and exit status 2."""


class UserError(Exception):
    """What the user asked for cannot be done; the message says why and what would do instead."""
