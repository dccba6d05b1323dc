"""Bad input, as opposed to a defect: one line for the user and exit status 2."""


class UserError(Exception):
    """What the user asked cannot be done; the message says why and what would."""
