"""Bad input is one line and status 2 without torch, whose import takes seconds."""

import json
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from helpers.command_line import SMALL_RUN

from attnbench.cli.app import app

PROGRAM = """
import contextlib, io, json, sys

class Refused:
    def find_spec(self, name, *_):
        if name.partition(".")[0] in {"torch", "torchvision"}:
            raise AssertionError(f"{name} is imported")

sys.meta_path.insert(0, Refused())
from attnbench.cli.app import main

for arguments in json.loads(sys.stdin.read()):
    error, answer = io.StringIO(), (0, "")
    try:
        with contextlib.redirect_stdout(io.StringIO()), contextlib.redirect_stderr(error):
            main(arguments)
    except SystemExit as stop:
        answer = (stop.code or 0, error.getvalue())
    except AssertionError as stop:
        answer = (-1, str(stop))
    print(json.dumps(answer))
"""

BAD = """
run --host resnet51                           | unknown host 'resnet51' (did you mean resnet5
run --host resnet                             | unknown host 'resnet' (did you mean
run --host vgg17                              | unknown host 'vgg17' (did you mean vgg1
run --host timm:                              | unknown host 'timm:'
run --host ultralytics:yolo11n.pt             | not of the form ultralytics:NAME.yaml
run --host absent.py:net                      | there is no Python file
run --host fcn_resnet50 --mode training       | has no --mode training: it returns maps
run --host mobilenet_v2 --at a..b             | 'a..b' is no pattern such as
run --host mobilenet_v2 --replace se          | unknown kind to replace 'se'; known: squeeze
run --host vgg11 --at a --replace squeeze-excite | both say where the module stands; leave one
places --host vgg17                           | unknown host 'vgg17'
places --image-size 64,96                     | the places of one size are listed at a time
run --host fasterrcnn                         | unknown host 'fasterrcnn'
run --host ''                                 | unknown host ''
run --profile --mode training                 | --profile takes networks that eager PyTorch runs
run --profile --isolated                      | --profile takes networks that eager PyTorch runs
run --profile --compile                       | --profile takes networks that eager PyTorch runs
run --modules foo                             | unknown attention module 'foo'; known: se
run --modules sga                             | 'sga' (did you mean sa?)
run --modules SAA,se                          | 'SAA' (did you mean sa?)
run --modules se,cbma                         | 'cbma' (did you mean cbam?)
run --modules ,                               | --modules names none
run --modules ''                              | --modules names none
run --modules plain                           | no module can have the name 'plain'
run --modules 'se sa'                         | unknown attention module 'se sa'
run --modules sa=2                            | names no module before its settings
run --modules all,foo                         | unknown attention module 'foo'
run --device CUDA:x                           | unknown device 'CUDA:x': after cuda: stands a number
run --module control                          | no module can have the name 'control'
run --module 'copy again' --isolated          | no module can have the name 'copy again'
run --module nowhere.py:Mine                  | there is no Python file
run --module nowhere.py                       | unknown attention module 'nowhere.py'
run --module sa,site=afterbn3                 | unknown site 'afterbn3'; known: after_bn3
run --module sa,groups=                       | groups has no value
run --module sa,groups=1,groups=2             | groups has two values
run --module ,site=after_bn3                  | names no module before its settings
run --dtype int4                              | --dtype: 'int4' is not one of float32
run --dtype float31                           | (did you mean float32?)
run --dtype float32,flot16                    | (did you mean float16?)
run --dtype fp8                               | 'fp8' is not one of
run --dtype ''                                | --dtype: '' is not one of
run --mode sleeping                           | --mode: 'sleeping' is not one of
run --mode inferense                          | (did you mean inference?)
run --mode inference,train                    | (did you mean training?)
run --device tpu                              | unknown device 'tpu'
run --device cuda:-1                          | after cuda: stands a number such as 0 or 1
run --device cuda:                            | after cuda: stands a number such as 0 or 1
run --device cuda:99999                       | after cuda: stands a number such as 0 or 1
run --device cpu:1                            | there is one cpu, without a number
run --device mps:0                            | there is one mps, without a number
run --device ''                               | unknown device ''; known: cpu, cuda, xpu, mps
run --device gpu                              | unknown device 'gpu'
run --cuda-graph --device xpu                 | --cuda-graph needs a CUDA device
run --cudnn-benchmark --device cpu            | --cudnn-benchmark needs a CUDA device
run --batch-size x                            | --batch-size: 'x' is no number
run --batch-size 1,,2                         | --batch-size: '1,,2' is no number
run --batch-size 1.5                          | --batch-size: '1.5' is no number
run --batch-size 0                            | batch_size must be at least 1
run --batch-size -1                           | batch_size must be at least 1
run --batch-size 99999999                     | batch_size must be at least 1 and at most
run --image-size 16                           | image_size 16 is too small
run --image-size 31,224                       | image_size 31 is too small
run --image-size 800x31                       | image_size 800x31 is too small
run --image-size 224x                         | is not an image size such as 224 or 800x1333
run --image-size 224*224                      | is not an image size
run --image-size big                          | is not an image size
run --image-size 100000                       | image_size must be at least 1 and at most
run --stages 5                                | unknown stages [5]; known: 1 to 4
run --stages 0                                | unknown stages [0]
run --stages c1                               | --stages: 'c1' is neither 2,3,4 nor
run --stages last                             | --stages: 'last' is no number
run --stages ''                               | --stages: '' is no number
run --blocks first                            | unknown blocks 'first'; known: all, last
run --blocks lsat                             | (did you mean last?)
run --budget x                                | --budget
run --budget 0                                | the budget must be a positive number
run --budget -5                               | the budget must be a positive number
run --budget nan                              | the budget must be a positive number
run --budget inf                              | the budget must be a positive number
run --threads 0                               | threads must be at least 1
run --threads many                            | --threads
run --threads 99999                           | threads must be at least 1 and at most 4096
run --seed -1                                 | seed must be at least 0
run --timeout 0                               | the timeout must be a positive number of seconds
run --timeout 1e300                           | of seconds below 1e+09, not 1e+300
check --timeout -5                            | the timeout must be a positive number
evaluate E --timeout nan                      | the timeout must be a positive number
selftest --timeout inf                        | the timeout must be a positive number
same se sa --timeout -5                       | the timeout must be a positive number
same se sga                                   | unknown attention module 'sga'
same se sa --import-root .                    | --import-root goes with a module of a package
places --timeout -5                           | the timeout must be a positive number
export --out x --timeout -5                   | the timeout must be a positive number
run --seed x                                  | --seed
run --seed 99999999999999999999               | seed must be at least 0 and at most
run --eager                                   | --eager goes with --compile or --cuda-graph
run --cuda-graph --device cpu                 | --cuda-graph needs a CUDA device
run --cuda-graph --device CPU                 | --cuda-graph needs a CUDA device
run --isolated --compile                      | --isolated times the eager forward
run --isolated --mode training                | --isolated times the eager forward
run --isolated --stages 2                     | --isolated measures all stages
run --isolated --cuda-graph --device cpu      | --cuda-graph needs a CUDA device
run --host retinanet_resnet50_fpn --mode training | has no --mode training
run --out FILE                                | cannot write to
run --out FILE/run                            | FILE is not a folder
run --out /dev/null/x                         | /dev/null is not a folder
run --out /proc/x                             | cannot write to /proc/x: nothing can be made in /
run --dry-run --out /proc/x                   | cannot write to /proc/x
run --out OTHERS                              | holds other files and no run
run --out DAMAGED                             | line 1: not JSON
run --out RUN --seed 1                        | seed is 0 there and 1 here
run --out RUN --modules se                    | modules is sa, sk there and se here
run --module                                  | --module
run --modle sa                                | --modle
run --stage 2                                 | --stages
run extra                                     | unexpected extra argument
--bogus                                       | No such option
--host resnet51                               | unknown host 'resnet51'
rnu                                           | No such command 'rnu'
list --module launch                          | no module can have the name 'launch'
list --module nowhere.py:Mine                 | there is no Python file
list --module sga                             | (did you mean sa?)
list --modules sa                             | --module
evaluate                                      | --weights
evaluate --weights WEIGHTS                    | --data
evaluate --weights nothing.pth --data DATA    | cannot read nothing.pth: No such file
evaluate --weights DATA --data DATA           | Is a directory
evaluate --weights WEIGHTS --data nowhere     | cannot take images from nowhere: No such file
evaluate --weights WEIGHTS --data FILE        | cannot take images from
evaluate E --host resnet51                    | unknown classifier 'resnet51' (did you mean
evaluate E --host fasterrcnn_resnet50_fpn     | a detector is evaluated with --annotations
evaluate E --module sga                       | unknown attention module 'sga' (did you mean sa?)
evaluate E --module nowhere.py:Mine           | there is no Python file
evaluate E --dtype int4                       | --dtype: 'int4' is not one of
evaluate E --dtype float31                    | (did you mean float32?)
evaluate E --device tpu                       | unknown device 'tpu'
evaluate E --batch-size 0                     | batch_size must be at least 1
evaluate E --batch-size many                  | --batch-size
evaluate E --image-size 31                    | image_size must be at least 32
evaluate E --image-size 224x224               | --image-size
evaluate E --threads 0                        | threads must be at least 1
evaluate E --workers -1                       | workers must be at least 0
evaluate E --out FILE/x                       | FILE is not a folder
evaluate E --out /proc/x                      | cannot write to /proc/x
evaluate E --out OTHERS                       | holds other files, no run and no evaluations
evaluate E --kye model                        | --key
train                                         | --data
train --data nowhere                          | cannot take images from nowhere: No such file
train --data FILE                             | cannot take images from
train --data digits --host resnet51           | unknown host 'resnet51' (did you mean
train --data digits --host maskrcnn_resnet50_fpn | digits have no boxes
train --data digits --host resnet50_backbone  | resnet50_backbone cannot be trained here
train --data DATA --host maskrcnn_resnet50_fpn | no annotations in a layout that is known
train --data digits --recipe 2x               | recipe 2x is of detection
train --data digits --backbone FILE           | --backbone goes with a detector
train --data digits --annotations FILE        | --annotations goes with a detector
train --data digits --host vgg11 --capacity-control | widens these hosts alone
train --data digits --recipe shrt             | unknown recipe 'shrt' (did you mean short?)
train --data digits --set epoch=1             | unknown field of a recipe 'epoch' (did you mean
train --data digits --set epochs              | is not FIELD=VALUE
train --data digits --set epochs=0            | recipe short: epochs must be at least 1, not 0
train --data digits --recipe ecanet --set epochs=9 | milestones 30,60,90 with 9 epochs
train --data digits --seeds 0                 | seeds must be at least 1
train --data digits --seeds many              | --seeds
train --data digits --seed -1                 | seed must be at least 0
train --data digits --last 9                  | --last 9 epochs cannot be averaged: there are 8
train --data digits --last 0                  | last must be at least 1
train --data digits --modules sga             | (did you mean sa?)
train --data digits --module nowhere.py:Mine  | there is no Python file
train --data digits --modules ,               | --modules names none
train --data digits --image-size 16           | image_size must be at least 32
train --data digits --stages 5                | unknown stages [5]
train --data digits --blocks first            | unknown blocks 'first'
train --data digits --amp int8                | --amp: 'int8' is not one of
train --data digits --device tpu              | unknown device 'tpu'
train --data digits --threads 0               | threads must be at least 1
train --data digits --workers -1              | workers must be at least 0
train --data digits --save-minutes 0          | save-minutes must be a positive number
train --data digits --out FILE/x              | FILE is not a folder
train --data digits --out /proc/x             | cannot write to /proc/x
train --data digits --out OTHERS              | holds other files, no run and no trainings
train --data digits --out UNREAD              | line 1: not JSON
check --format yaml                           | 'yaml' is not one of
check --limit a                               | --limits
compare                                       | OLD
compare RUN                                   | NEW
compare nowhere RUN                           | neither a folder nor a baseline 'nowhere'
compare RUN nowhere                           | neither a folder nor a baseline 'nowhere'
compare RUN RUN --fail-above x                | 'x' is no share
compare RUN RUN --fail-above 3                | '3' would be 300%; write 3% or 0.03
compare RUN RUN --between-runs -1%            | is no share
compare RUN RUN --format yaml                 | 'yaml' is not one of
compare DATA RUN                              | cannot read
pick                                          | RUN
pick nowhere --max-overhead 10%               | cannot read nowhere
pick RUN --max-overhead x                     | 'x' is no share
pick RUN --max-memory 5                       | '5' would be 500%
pick RUN --max-added-params -1                | --max-added-params
pick RUN --recipe nothing --max-memory 5%     | no recipe 'nothing'
pick RUN --format junit                       | 'junit' is not one of
selftest --simulated 3                        | --simulated
selftest --real -1                            | --real
selftest --device tpu                         | unknown device 'tpu'
report                                        | DIR
report nowhere                                | cannot read nowhere
report RUN RUN                                | give --out
report RUN --out FILE                         | FILE is not a folder
report RUN --out /proc/x                      | cannot write to /proc/x
history RUN --out /proc/x                     | cannot write to /proc/x
report DAMAGED                                | line 1: not JSON
"""


COMMANDS = [command.name for command in app.registered_commands]


@pytest.fixture
def workplace(tmp_path: Path) -> dict[str, str]:
    """What the arguments name in capitals, by these names."""
    for name in ("OTHERS", "DATA/0", "DAMAGED", "UNREAD"):
        (tmp_path / name).mkdir(parents=True)
    (tmp_path / "OTHERS" / "thesis.tex").touch()
    (tmp_path / "DAMAGED" / "records.jsonl").write_text("nothing\n")
    (tmp_path / "UNREAD" / "trainings.jsonl").write_text("nothing\n")
    for name in ("FILE", "WEIGHTS"):
        (tmp_path / name).touch()
    names = ("OTHERS", "DATA", "DAMAGED", "UNREAD", "FILE", "WEIGHTS")
    return {name: str(tmp_path / name) for name in names} | {"RUN": str(SMALL_RUN)}


def words(text: str, workplace: dict[str, str]) -> list[str]:
    named = []
    for word in shlex.split(text.replace(" E ", " --weights WEIGHTS --data DATA ")):
        first, *rest = word.split("/")
        named.append("/".join([workplace.get(first, first), *rest]))
    return named


def answers(lists: list[list[str]], folder: Path) -> list[tuple[int, str]]:
    """The exit status of each and what it wrote to stderr; -1 where torch was imported."""
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM],
        input=json.dumps(lists),
        capture_output=True,
        text=True,
        check=True,
        cwd=folder,
    )
    return [tuple(json.loads(line)) for line in done.stdout.splitlines()]


def test_every_bad_input_is_one_line_before_torch_is_imported(
    workplace: dict[str, str], tmp_path: Path
) -> None:
    rows = [tuple(map(str.strip, line.split(" | "))) for line in BAD.strip().splitlines()]
    assert len(rows) > 100
    lists = [words(text, workplace) for text, _ in rows]
    known = [[command, "--help"] for command in COMMANDS] + [["--help"], ["--version"], ["list"]]
    told, shown = answers([*lists, *known], tmp_path), len(known)
    assert told[-shown:] == [(0, "")] * shown
    wrong = [
        (text, wanted, status, error)
        for (text, wanted), (status, error) in zip(rows, told[:-shown], strict=True)
        if status != 2
        or wanted not in error
        or error.count("\n") != 1
        or not error.startswith("attnbench: ")
    ]
    assert not wrong, "\n".join(map(str, wrong))
