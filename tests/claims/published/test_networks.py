import torch
from torch import nn

from attnbench.claims.published.networks import eca_mobilenet_v2
from attnbench.modules.eca import EfficientChannelAttention


def test_eca_is_last_in_every_block_of_mobilenetv2() -> None:
    with torch.device("meta"):
        network = eca_mobilenet_v2()
    sites = [(name, m) for name, m in network.named_modules() if hasattr(m, "use_res_connect")]
    assert len(sites) == 17
    last = [block.conv[-1] for _, block in sites]
    assert all(isinstance(module, EfficientChannelAttention) for module in last)
    # 16, 2 x 24, 3 x 32 and 4 x 64 channels; then 3 x 96, 3 x 160 and 320.
    assert [module.conv.kernel_size[0] for module in last] == [1] * 10 + [3] * 7
    assert all(isinstance(block.conv[-2], nn.BatchNorm2d) for _, block in sites)
