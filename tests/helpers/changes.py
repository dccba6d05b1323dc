"""Short forms of changes and intervals, for assertions."""


def ends(interval):
    return (interval.median, interval.low, interval.high)


def the_only(changes):
    (change,) = changes
    return change
