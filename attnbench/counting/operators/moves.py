"""Operators that move elements or make them, and compute nothing."""

from __future__ import annotations

from attnbench.counting.operators.cost import Operator, rows

MOVES: dict[str, Operator] = {
    **rows(
        """
        _upsample_nearest_exact1d _upsample_nearest_exact2d _upsample_nearest_exact3d diag_embed
        diagonal_copy logspace masked_scatter masked_select reflection_pad1d reflection_pad3d
        replication_pad1d replication_pad3d rot90 take _to_copy
        arange cat channel_shuffle clone complex constant_pad_nd embedding eye flip full full_like
        gather im2col index index_copy index_fill index_fill_ index_put index_put_ index_select
        linspace max_unpool2d new_full new_ones new_zeros nonzero ones ones_like pixel_shuffle
        pixel_unshuffle reflection_pad2d repeat replication_pad2d roll scalar_tensor scatter
        scatter_ stack tril triu upsample_nearest1d upsample_nearest2d upsample_nearest3d zeros
        zeros_like
        """,
        Operator(),
    ),
    **rows("copy_ fill_ zero_", Operator(overwrites=True)),
}
