"""The same over many machines, on dask.distributed; imported only where that is asked for."""
