"""The process that measures a configuration, whose own children are forked and not spawned.

Spawned, each would import torch again, for seconds.
"""

from attnbench.sweeps.device import measure
from attnbench.system import worker

if __name__ == "__main__":
    worker._spawned = worker._prepared
    measure.main()
