import pickle
import subprocess
import sys
from argparse import Namespace
from collections import defaultdict, deque
from copy import deepcopy
from datetime import UTC, datetime
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from pathlib import Path
from types import SimpleNamespace
from uuid import UUID

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from torch import nn

import attnbench
from attnbench import load_authors_state_dict, read_weights, to_authors_state_dict
from attnbench.accuracy.checkpoints import WRAPPERS, classes_of, wrapper_of
from attnbench.errors import UserError
from attnbench.hosts.build import build
from attnbench.modules import ATTENTION, AttentionSpec, Site, create
from attnbench.plugins.resolve import parse

# The names that the authors' code gives, for the first block (the sources are in modules/).
NAMES = {
    "se": ["se.fc.0.weight", "se.fc.0.bias", "se.fc.2.weight", "se.fc.2.bias"],
    "cbam": [
        "cbam.ChannelGate.mlp.1.weight",
        "cbam.ChannelGate.mlp.3.bias",
        "cbam.SpatialGate.spatial.conv.weight",
        "cbam.SpatialGate.spatial.bn.running_mean",
    ],
    "eca": ["eca.conv.weight"],
    "gc": ["context_block.conv_mask.weight", "context_block.channel_add_conv.1.bias"],
    "sk": ["conv2.weight", "bn2.weight", "conv2g.weight", "bn2g.bias", "conv_fc2.weight"],
    "sge": ["sge.weight", "sge.bias"],
    "sa": ["sa.cweight", "sa.cbias", "sa.sweight", "sa.sbias", "sa.gn.weight", "sa.gn.bias"],
}

pytestmark = pytest.mark.usefixtures("small_host")


def network(attention: str | None, seed: int) -> nn.Module:
    """A network in which nothing stands at an initial value that could hide a mistake."""
    return deepcopy(filled(attention, seed))


@lru_cache(maxsize=2)  # the two of SA, which most tests take
def filled(attention: str | None, seed: int) -> nn.Module:
    torch.manual_seed(seed)
    built = build("resnet50", attention).double().eval()
    for tensor in built.state_dict().values():
        if tensor.is_floating_point():
            tensor.copy_(torch.rand_like(tensor) * 0.2 + 0.1)
    return built


def images() -> torch.Tensor:
    return torch.rand(2, 3, 64, 64, dtype=torch.float64, generator=torch.Generator().manual_seed(0))


def test_every_module_of_the_table_has_authors_names():
    assert set(NAMES) == set(ATTENTION)


@pytest.mark.parametrize("attention", ATTENTION)
def test_a_network_is_written_under_the_authors_names(attention):
    names = to_authors_state_dict(network(attention, 0))
    assert {f"layer1.0.{name}" for name in NAMES[attention]} <= set(names)
    assert not any("attention" in name for name in names)
    assert "layer1.0.conv1.weight" in names
    assert "fc.weight" in names


@pytest.mark.parametrize("attention", [None, *ATTENTION])
def test_a_network_that_is_filled_computes_what_the_other_one_does(attention):
    one, other = network(attention, 1), network(attention, 2)
    with torch.no_grad():
        wanted = one(images())
        assert not torch.allclose(other(images()), wanted)
        load_authors_state_dict(other, to_authors_state_dict(one))
        assert torch.equal(other(images()), wanted)


def test_a_wrapper_and_a_parallel_prefix_are_taken_off():
    one, other = network("sa", 1), network("sa", 2)
    weights = {f"module.{name}": value for name, value in to_authors_state_dict(one).items()}
    load_authors_state_dict(other, {"epoch": 100, "state_dict": weights, "optimizer": {}})
    assert torch.equal(other.state_dict()["fc.weight"], one.state_dict()["fc.weight"])


@pytest.mark.parametrize("key", WRAPPERS)
@pytest.mark.parametrize(
    "prefix", ["", "module.", "_orig_mod.", "module._orig_mod.", "_orig_mod.module.", "model."]
)
def test_wrappers_and_prefixes_that_training_scripts_add_are_taken_off(key, prefix):
    one, other = network("sa", 1), network("sa", 2)
    weights = {f"{prefix}{name}": value for name, value in to_authors_state_dict(one).items()}
    load_authors_state_dict(other, {"epoch": 100, key: weights})
    assert torch.equal(other.state_dict()["fc.weight"], one.state_dict()["fc.weight"])


def test_averaged_models_and_what_thop_leaves_behind_fit():
    one, other = network("sa", 1), network("sa", 2)
    averaged = {f"module.{name}": value for name, value in to_authors_state_dict(one).items()}
    averaged |= {"n_averaged": torch.tensor(7), "module.conv1.total_ops": torch.zeros(1)}
    averaged["module.total_params"] = torch.zeros(1)
    load_authors_state_dict(other, averaged)
    assert torch.equal(other.state_dict()["fc.weight"], one.state_dict()["fc.weight"])


@pytest.mark.parametrize("attention", ATTENTION)
def test_the_state_of_our_own_network_fits_it(attention):
    one, other = network(attention, 1), network(attention, 2)
    load_authors_state_dict(other, one.state_dict())
    state = other.state_dict()
    assert all(torch.equal(value, state[name]) for name, value in one.state_dict().items())


def test_a_file_that_holds_itself_is_refused():
    endless = {"a": torch.zeros(1)}
    endless["state_dict"] = endless
    with pytest.raises(UserError, match="no tensors: state_dict"):
        load_authors_state_dict(network("sa", 1), endless)


def test_harmless_values_beside_weights_are_read(tmp_path):
    path = tmp_path / "checkpoint.pth.tar"
    beside = {"args": Namespace(lr=0.1, arch="sa"), "best_prec1": np.float64(77.7)}
    beside |= {"epoch": np.int64(3), "best": np.float32(1.5), "done": np.bool_(True)}
    beside |= {"out": Path("runs"), "begun": datetime.now(UTC), "best": {"loss": np.zeros(3)}}
    beside |= {"name": np.str_("sa"), "done": frozenset({1})}
    beside |= {"rng": np.random.get_state(), "more": SimpleNamespace(a=1)}
    torch.save({"state_dict": {"a": torch.arange(3.0)}, **beside}, path)
    content = read_weights(path)
    assert set(content) == {"state_dict", *beside}
    assert str(content["out"]) == "runs"
    assert torch.equal(content["state_dict"]["a"], torch.arange(3.0))
    assert (content["args"], content["best_prec1"]) == (beside["args"], 77.7)
    old = path.read_bytes()
    assert b"numpy._core.multiarray" in old or b"numpy.core.multiarray" in old


def test_all_numbers_of_numpy_are_read(tmp_path):
    numbers = [np.float16(1), np.longdouble(1.5), np.complex64(1j), np.complex128(2j)]
    arrays = [np.zeros(0), np.zeros((0, 3), dtype=np.complex64), np.ones(2, dtype=">i4")]
    beside = {"numbers": numbers, "arrays": arrays, "run": UUID(int=7)}
    torch.save({"state_dict": {"fc.weight": torch.ones(3, 2)}, **beside}, tmp_path / "w.pth")
    read = read_weights(tmp_path / "w.pth")
    assert (read["numbers"], read["run"]) == (numbers, UUID(int=7))
    assert all(map(np.array_equal, read["arrays"], arrays))
    # numpy itself turns bytes into the machine's own order.
    own = [array.dtype.newbyteorder("=") for array in arrays]
    assert [array.dtype for array in read["arrays"]] == own


@pytest.mark.parametrize(
    ("beside", "asked"),
    [
        (np.array([1, None], dtype=object), r"numpy\.dtypes\.ObjectDType"),
        (np.zeros(2, dtype=[("a", "f4")]), r"numpy\.dtypes\.VoidDType"),
        (nn.ReLU(), r"torch\.nn\.modules\.activation\.ReLU"),
    ],
)
def test_what_is_refused_is_named(tmp_path, beside, asked):
    torch.save({"state_dict": {}, "beside": beside}, tmp_path / "w.pth")
    with pytest.raises(UserError, match=f"it asks for {asked}, and so for code to be run"):
        read_weights(tmp_path / "w.pth")


@pytest.mark.filterwarnings("ignore:.*torch.jit:DeprecationWarning")  # files of it remain
def test_a_program_in_the_place_of_weights_is_named(tmp_path):
    script = torch.jit.script(nn.ReLU())
    torch.jit.save(script, str(tmp_path / "w.pt"))
    with pytest.raises(UserError, match=r"w\.pt is a TorchScript archive.*save .* state_dict"):
        read_weights(tmp_path / "w.pt")


def test_a_dictionary_with_defaults_is_read_as_a_plain_one(tmp_path):
    weights = {"fc.weight": torch.ones(3, 2)}
    history = defaultdict(list, {"loss": [1.0, 0.5]})
    beside = {"history": history, "last": deque([0.5], maxlen=2), "z": 1j, "lr": Decimal("0.1")}
    torch.save({"state_dict": weights, **beside}, tmp_path / "weights.pth")
    read = read_weights(tmp_path / "weights.pth")
    assert classes_of(read) == 3
    assert type(read["history"]) is dict
    assert {key: read[key] for key in beside} == beside | {"last": [0.5]}
    with pytest.raises(KeyError):
        read["history"]["accuracy"]


class Called:
    """Asks for a type to be called: a list of all elements of a large range, say."""

    def __init__(self, kind, *args):
        self.asked = kind, args

    def __reduce__(self):
        return self.asked


@pytest.mark.parametrize(
    "asked", [(list, "abc"), (range, 3), (dict, []), (bytes, 3), (np.float64, 1.0)]
)
def test_a_type_that_is_named_is_not_called(tmp_path, asked, capsys):
    torch.save({"state_dict": {}, "beside": Called(*asked)}, tmp_path / "weights.pth")
    with pytest.raises(UserError, match="holds no weights that are safe to read"):
        read_weights(tmp_path / "weights.pth")
    assert capsys.readouterr().out == ""


def test_weights_under_another_key_or_prefix_are_named():
    one, other = network("sa", 1), network("sa", 2)
    names = to_authors_state_dict(one)
    inside = {f"student.backbone.{name}": value for name, value in names.items()}
    inside |= {"student.loss.weight": torch.zeros(3), "teacher.fc.weight": torch.zeros(2, 2)}
    file = {"teacher_ema": {"a": torch.zeros(1)}, "distilled": inside, "epoch": 3}
    chosen = {"key": "distilled", "prefix": "student.backbone."}
    load_authors_state_dict(other, file, **chosen)
    assert torch.equal(other.state_dict()["fc.weight"], one.state_dict()["fc.weight"])
    assert classes_of(file, **chosen) == 1000
    # Prefixes within the chosen part are taken off as everywhere.
    load_authors_state_dict(other, {"ema": {f"module.{n}": v for n, v in names.items()}}, key="ema")
    for key, prefix, message in (
        (
            "distiled",
            None,
            r"key of weights 'distiled' \(did you mean distilled\?\); known: t",
        ),
        ("epoch", None, "unknown key of weights 'epoch'; known: teacher_ema, distilled"),
        ("distilled", "studnt.", r"no name in .* begins with 'studnt\.'; names: student.backbone"),
        (
            None,
            None,
            "no tensors: teacher_ema, .*; weights stand under --key teacher_ema, d",
        ),
        ("distilled", None, r"no 'fc.weight': .* one under --prefix student\.backbone\."),
    ):
        with pytest.raises(UserError, match=message):
            classes_of(file, key=key, prefix=prefix)
    with pytest.raises(UserError, match="known: none"):
        classes_of(names, key="state_dict")


def test_weights_within_several_keys_are_named_by_all_of_them():
    one, other = network("sa", 1), network("sa", 2)
    file = {"state_dict": {"generator": to_authors_state_dict(one), "critic": {}}, "epoch": 3}
    with pytest.raises(UserError, match=r"weights stand under --key state_dict\.generator"):
        classes_of(file)
    load_authors_state_dict(other, file, key="state_dict.generator")
    assert torch.equal(other.state_dict()["fc.weight"], one.state_dict()["fc.weight"])
    with pytest.raises(UserError, match=r"under --key state_dict\.generator"):
        classes_of(file, key="state_dict")
    with pytest.raises(UserError, match=r"key of weights 'state_dict\.gen'.*; known: state_dict"):
        classes_of(file, key="state_dict.gen")


def test_an_unknown_prefix_is_named_where_nothing_fits():
    weights = {f"net.{name}": value for name, value in network("sa", 1).state_dict().items()}
    with pytest.raises(UserError, match=r"left over: .*; it has one under --prefix net\.$"):
        load_authors_state_dict(network("sa", 1), weights)


def test_which_of_several_weights_is_taken_is_known():
    weights = {"a": torch.zeros(1)}
    assert wrapper_of({"state_dict": weights, "state_dict_ema": weights}) == "state_dict"
    assert wrapper_of({"state_dict": weights, "optimizer": {}}) is None
    assert wrapper_of(weights) is None


def test_counters_that_old_files_lack_may_be_missing():
    one, other = network("cbam", 1), network("cbam", 2)
    weights = to_authors_state_dict(one)
    old = {name: value for name, value in weights.items() if not name.endswith("_tracked")}
    assert len(old) < len(weights)
    load_authors_state_dict(other, old)


def test_what_is_missing_left_over_or_of_another_shape_is_listed_and_nothing_is_filled():
    one, other = network("sa", 1), network("sa", 2)
    weights = to_authors_state_dict(one)
    del weights["fc.bias"]
    weights["layer1.0.se.fc.0.weight"] = torch.zeros(1)
    weights["layer1.0.sa.cweight"] = torch.zeros(1, 4, 1, 1)
    before = {name: value.clone() for name, value in other.state_dict().items()}
    with pytest.raises(UserError) as refused:
        load_authors_state_dict(other, weights)
    for fault in (
        "missing: fc.bias",
        "left over: layer1.0.se.fc.0.weight",
        "of another shape: layer1.0.sa.cweight (1, 4, 1, 1), not (1, 2, 1, 1)",
    ):
        assert fault in str(refused.value)
    assert all(torch.equal(before[name], value) for name, value in other.state_dict().items())


def test_many_faults_are_counted():
    with pytest.raises(UserError, match=r"missing: conv1.weight.* and \d+ more"):
        load_authors_state_dict(network("sa", 1), {})


def test_weights_of_another_module_do_not_fit():
    with pytest.raises(UserError, match=r"missing: layer1.0.sa.*left over: layer1.0.sge"):
        load_authors_state_dict(network("sa", 1), to_authors_state_dict(network("sge", 1)))


def test_a_module_alone_has_the_authors_own_names():
    one, other = create("gc", 64), create("gc", 64)
    assert "conv_mask.weight" in to_authors_state_dict(one)
    load_authors_state_dict(other, to_authors_state_dict(one))
    assert torch.equal(one.conv_mask.weight, other.conv_mask.weight)


def test_a_module_from_elsewhere_has_our_names():
    custom = AttentionSpec("mine", "", "", Site.AFTER_BN3, nn.BatchNorm2d)
    state = to_authors_state_dict(build("resnet50", custom))
    assert "layer1.0.attention.weight" in state
    load_authors_state_dict(build("resnet50", custom), state)


def test_a_row_of_ones_own_may_state_its_authors_names():
    row = AttentionSpec("own", "", "", Site.AFTER_BN3, nn.BatchNorm2d, authors_prefix="gate.")
    assert "layer1.0.gate.weight" in to_authors_state_dict(build("resnet50", row))


def test_settings_change_no_names():
    theirs = to_authors_state_dict(build("resnet50", parse("sa,groups=32").load()))
    assert "layer1.0.sa.cweight" in theirs


def test_the_classes_are_the_rows_of_the_classifier():
    ours = to_authors_state_dict(build("resnet50", "sa", classes=10))
    assert classes_of(ours) == 10
    wrapped = {"state_dict": {f"module.{name}": value for name, value in ours.items()}}
    assert classes_of(wrapped) == 10
    other = build("resnet50", "sa", classes=10)
    load_authors_state_dict(other, wrapped)
    assert torch.equal(other.fc.weight, ours["fc.weight"])


@pytest.mark.parametrize(
    ("weights", "message"),
    [
        ({}, "has no 'fc.weight': the number of classes is unknown"),
        ({"fc.weight": torch.zeros(())}, r"'fc.weight' of shape \(\); expected"),
        ({"fc.weight": torch.zeros(0, 2048)}, r"of shape \(0, 2048\); expected"),
        ({"fc.weight": torch.zeros(1).expand(100_001, 1)}, "with 1 to 100,000 classes"),
        ({"fc.weight": "many"}, "no tensors: fc.weight"),
    ],
)
def test_weights_without_classes_are_refused(weights, message):
    with pytest.raises(UserError, match=message):
        classes_of(weights)


@pytest.mark.parametrize("name", ["epoch", 7])
def test_what_is_no_tensor_or_has_no_name_is_refused(name):
    with pytest.raises(UserError, match=f"no tensors: {name}"):
        load_authors_state_dict(network(None, 1), {name: 3})
    with pytest.raises(UserError, match="no tensors: 7"):
        classes_of({7: torch.zeros(1)})


@pytest.mark.parametrize("kind", [torch.int64, torch.complex64])
def test_numbers_of_another_kind_do_not_fit(kind):
    state = to_authors_state_dict(network(None, 1))
    odd = {**state, "fc.bias": state["fc.bias"].to(kind)}
    with pytest.raises(UserError, match=r"of another kind: fc.bias (int|complex)64, not float64"):
        load_authors_state_dict(network(None, 1), odd)
    load_authors_state_dict(network(None, 1), {**state, "fc.bias": state["fc.bias"].float()})


@pytest.mark.parametrize(
    ("how", "store"),
    [("meta", lambda x: x.to("meta")), ("sparse_coo", torch.Tensor.to_sparse)],
)
def test_tensors_that_hold_no_plain_numbers_do_not_fit(how, store):
    state = to_authors_state_dict(network(None, 1))
    odd = {**state, "fc.weight": store(state["fc.weight"])}
    with pytest.raises(UserError, match=f"stored without plain numbers: fc.weight {how}$"):
        load_authors_state_dict(network(None, 1), odd)


@pytest.mark.parametrize("kind", ["pth", "safetensors"])
def test_files_are_read_as_they_were_written(tmp_path, kind):
    path, weights = tmp_path / f"weights.{kind}", {"a": torch.arange(3.0)}
    (torch.save if kind == "pth" else save_file)(weights, path)
    assert torch.equal(read_weights(path)["a"], weights["a"])
    assert torch.equal(read_weights(str(path))["a"], weights["a"])


class Attack:
    def __reduce__(self):
        return (exec, ("raise SystemExit('code from a file was run')",))


def test_code_in_a_file_is_never_run_and_nobody_is_told_to_run_it(tmp_path, recwarn):
    path = tmp_path / "weights.pth"
    torch.save({"a": Attack()}, path)
    for content, asked in (
        (path.read_bytes(), "asks for exec, and so for"),
        # Torch does not read so far.
        (pickle.dumps({"a": Attack()}), r"is damaged, or pickled otherwise .*, or asks for"),
    ):
        path.write_bytes(content)
        with pytest.raises(UserError, match=f"safe to read: it {asked} code to be run") as refused:
            read_weights(path)
        assert "weights_only" not in str(refused.value)
    assert not recwarn.list


@pytest.mark.parametrize("name", ["missing.pth", "missing.safetensors"])
def test_a_file_that_is_not_there_is_bad_input(tmp_path, name):
    with pytest.raises(UserError, match="cannot read"):
        read_weights(tmp_path / name)


def test_an_empty_file_is_said_to_hold_nothing(tmp_path):
    (tmp_path / "empty.pth").touch()
    with pytest.raises(UserError, match=r"safe to read: \w+"):
        read_weights(tmp_path / "empty.pth")


@pytest.mark.parametrize("name", ["junk.pth", "junk.safetensors"])
def test_junk_is_no_weights(tmp_path, name):
    (tmp_path / name).write_bytes(b"junk" * 100)
    with pytest.raises(UserError, match="holds no weights"):
        read_weights(tmp_path / name)


def test_a_file_of_something_else_is_said_to_be_so(tmp_path):
    torch.save([torch.zeros(1)], tmp_path / "list.pth")
    with pytest.raises(UserError, match="holds a list, not weights by their names"):
        read_weights(tmp_path / "list.pth")


def test_importing_the_package_imports_neither_torch_nor_pandas():
    code = "import sys, attnbench; assert not {'torch', 'pandas'} & set(sys.modules)"
    subprocess.run([sys.executable, "-c", code], check=True)
    assert set(attnbench.__all__) == {"__version__", *chain(*attnbench._HOMES.values())}
    assert set(attnbench.__all__) <= set(dir(attnbench))
