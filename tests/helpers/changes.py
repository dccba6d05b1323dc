"""What tests read of the changes between runs."""


def ends(interval):
    return (interval.median, interval.low, interval.high)


def the_only(changes):
    (found,) = changes
    return found
