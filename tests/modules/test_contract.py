"""What every module of the table keeps to; a new one is tested by being listed."""

import re
import sys
from copy import deepcopy
from math import ceil
from pathlib import Path

import matplotlib.colors
import matplotlib.markers
import pytest
import torch
from torch import nn

from attnbench import modules
from attnbench.hosts.build import build
from attnbench.modules import ATTENTION, Site, create
from attnbench.report.plots.style import OTHERS


@pytest.fixture(autouse=True, scope="module")
def one_thread():
    """Convolutions of a few positions lose time to threads, on a busy machine most of it."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)


WIDTH = {Site.AFTER_BN3: 256, Site.REPLACE_CONV2: 64}
"""The narrowest at each site of the two hosts."""

ODD = (7, 5)

INSENSITIVE = {"gc": {"conv_mask.bias"}}
"""Parameters without a gradient by construction: a softmax does not see a shift of its input."""


def width(name: str) -> int:
    return WIDTH[ATTENTION[name].site]


def ready(name: str, **settings: int) -> nn.Module:
    """A module in float64 whose parameters and statistics are all random: no gate is stuck."""
    torch.manual_seed(0)
    module = create(name, width(name), **settings).double()
    for key, value in module.state_dict().items():
        if key.endswith("running_var"):
            value.uniform_(0.5, 2)
        elif value.is_floating_point():
            value.normal_(std=0.2)
    return module


def image(name: str) -> torch.Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randn(3, width(name), *ODD, dtype=torch.float64, generator=generator)


def strides(name: str) -> tuple[dict[str, int], ...]:
    return ({}, {"stride": 2}) if ATTENTION[name].site is Site.REPLACE_CONV2 else ({},)


def file_header(name: str) -> str:
    return sys.modules[type(create(name, width(name))).__module__].__doc__ or ""


def words(text: str) -> str:
    return " ".join(re.findall(r"\w+", text.lower()))


@pytest.mark.parametrize("name", ATTENTION)
def test_the_shape_is_kept_but_for_the_stride_also_at_odd_sizes(name):
    for settings in strides(name):
        stride = settings.get("stride", 1)
        expected = (3, width(name), *(ceil(side / stride) for side in ODD))
        assert ready(name, **settings)(image(name)).shape == expected


@pytest.mark.parametrize("dtype", [torch.float64, torch.float32, torch.bfloat16])
@pytest.mark.parametrize("name", ATTENTION)
def test_the_output_has_the_dtype_of_the_input_and_is_finite(name, dtype):
    out = ready(name).to(dtype)(image(name).to(dtype))
    assert out.dtype is dtype
    assert out.isfinite().all()


@pytest.mark.parametrize("name", ATTENTION)
def test_a_module_is_built_in_float32_and_training_mode(name):
    module = create(name, width(name))
    assert module.training
    assert {parameter.dtype for parameter in module.parameters()} == {torch.float32}


@pytest.mark.parametrize("name", ATTENTION)
def test_eval_repeats_itself_and_changes_nothing(name):
    module = ready(name).eval()
    x = image(name)
    before, given = deepcopy(module.state_dict()), x.clone()
    first, second = module(x), module(x)
    assert torch.equal(first, second)
    assert torch.equal(x, given)
    assert all(torch.equal(before[key], value) for key, value in module.state_dict().items())


@pytest.mark.parametrize("name", ATTENTION)
def test_eval_treats_every_image_of_a_batch_alone(name):
    module = ready(name).eval()
    x = image(name)
    alone = torch.cat([module(one[None]) for one in x])
    torch.testing.assert_close(module(x), alone, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ATTENTION)
def test_gradients_reach_every_parameter_and_every_input_channel(name):
    module = ready(name)
    x = image(name).requires_grad_()
    module(x).square().sum().backward()
    gradients = {key: parameter.grad for key, parameter in module.named_parameters()}
    without = {key for key, grad in gradients.items() if grad is None or grad.abs().max() < 1e-9}
    assert without == INSENSITIVE.get(name, set())
    assert (x.grad.abs().amax((2, 3)) > 0).all()


@pytest.mark.parametrize("name", ATTENTION)
def test_a_deep_copy_computes_the_same_and_is_independent(name):
    module = ready(name).eval()
    x = image(name)
    before = module(x)
    copy = deepcopy(module)
    assert torch.equal(copy(x), before)
    for parameter in copy.state_dict().values():
        parameter.zero_()
    assert torch.equal(module(x), before)
    assert not torch.equal(copy(x), before)


@pytest.mark.parametrize("name", ATTENTION)
def test_a_state_dict_carries_everything_to_a_new_module(name):
    module = ready(name).eval()
    other = create(name, width(name)).double().eval()
    assert not torch.equal(other(image(name)), module(image(name)))
    other.load_state_dict(module.state_dict(), strict=True)
    assert torch.equal(other(image(name)), module(image(name)))


@pytest.mark.parametrize("name", ATTENTION)
def test_channels_last_gives_the_same_values(name):
    module = ready(name).eval()
    expected = module(image(name))
    x = image(name).to(memory_format=torch.channels_last)
    assert not x.is_contiguous()
    torch.testing.assert_close(module(x), expected, rtol=1e-10, atol=1e-12)
    module.to(memory_format=torch.channels_last)
    torch.testing.assert_close(module(x), expected, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("name", ATTENTION)
def test_a_module_is_built_and_runs_on_meta(name):
    with torch.device("meta"):
        module = create(name, width(name))
        x = torch.empty(2, width(name), *ODD)
    assert all(tensor.is_meta for tensor in module.state_dict().values())
    out = module(x)
    assert out.is_meta
    assert out.shape == x.shape


@pytest.mark.parametrize("name", ATTENTION)
def test_an_unknown_setting_is_refused_by_name(name):
    with pytest.raises(TypeError, match="no_such_setting"):
        create(name, width(name), no_such_setting=1)


@pytest.mark.parametrize(
    ("name", "host"), [(name, host) for name in ATTENTION for host in ATTENTION[name].added_params]
)
def test_the_table_states_the_parameters_that_a_host_really_gains(name, host):
    def learnable(network: nn.Module) -> int:
        return sum(parameter.numel() for parameter in network.parameters())

    with torch.device("meta"):
        added = learnable(build(host, name)) - learnable(build(host))
    assert ATTENTION[name].added_params[host] == added


@pytest.mark.parametrize("entry", ATTENTION.values(), ids=ATTENTION)
def test_the_table_is_well_formed(entry):
    assert entry.name.isidentifier()
    assert entry.name == entry.name.lower()
    assert entry.title == entry.title.strip() != ""
    assert re.fullmatch(r"\d{4}\.\d{5}", entry.arxiv)
    assert all(" " in author for author in entry.authors)
    assert entry.label == entry.label.strip() != ""
    assert matplotlib.colors.is_color_like(entry.colour)
    assert entry.marker in matplotlib.markers.MarkerStyle.markers
    assert entry.authors_prefix == "" or re.fullmatch(r"\w+\.", entry.authors_prefix)
    assert not entry.added_params or set(entry.added_params) >= {"resnet50", "resnet101"}
    for host, settings in entry.published.items():
        assert all(len(by_stage) == 4 for by_stage in settings.values())
        with torch.device("meta"):
            build(host, entry.name)  # a known host, and settings that the module takes


@pytest.mark.parametrize("field", ["name", "title", "arxiv", "label", "colour", "marker"])
def test_no_two_rows_state_the_same(field):
    assert len({getattr(entry, field) for entry in ATTENTION.values()}) == len(ATTENTION)


def test_other_modules_are_drawn_in_other_colours():
    stated = {entry.colour for entry in ATTENTION.values()}
    assert not stated & {colour for colour, _ in OTHERS}


def test_every_file_of_the_folder_is_one_row_of_the_table():
    files = {path.stem for path in Path(modules.__file__).parent.glob("*.py")}
    assert files == {*ATTENTION, "__init__", "interface"}


@pytest.mark.parametrize("name", ATTENTION)
def test_a_file_names_its_arxiv_number_and_its_deviations(name):
    header = file_header(name)
    assert f"arXiv {ATTENTION[name].arxiv}" in header
    assert re.search(r"^Deviations: \S", header, re.MULTILINE)
    assert "Authors' code: " in header


@pytest.mark.parametrize(
    "name",
    ATTENTION,
)
def test_a_file_names_the_title_of_the_paper(name):
    assert words(ATTENTION[name].title) in words(file_header(name))


@pytest.mark.parametrize("name", ATTENTION)
def test_a_file_names_the_commit_of_the_authors_code(name):
    assert re.search(r"@[0-9a-f]{7}\b", file_header(name))
