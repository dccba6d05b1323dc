import typer

from attnbench.cli.app import app

MODULE_HELP = (
    "A custom module, whose code is run: file.py:ClassName, package.module:ClassName with "
    "--import-root, timm:NAME, or an entry point; with ,site=after_bn3 and ,key=value for its "
    "settings. May be repeated."
)
HOST_HELP = (
    "A network of torchvision by its name there, sknet50, resnet50_backbone, ...; "
    "timm:NAME, file.py:function, ultralytics:NAME.yaml, an entry point."
)
SEVERAL = "One, or several with commas."

RUNTIME_HELP = (
    "What executes the networks: eager, compile, cuda-graph, compile+cuda-graph, onnxruntime, "
    f"openvino, tensorrt. {SEVERAL} tensorrt has not run on a GPU yet: it is written by its "
    "documentation."
)
OPTIONS = [  # flag, what stands for its value, default as shown, help
    (
        "--modules",
        "NAME,...",
        "all seven; none with --module",
        "Modules of the suite, with commas.",
    ),
    ("--module", "SPEC", True, MODULE_HELP),
    (
        "--import-root",
        "DIR",
        True,
        "Folder that a package.module:ClassName or a FILE.py is imported from; on "
        "the path of the process that tries the module alone.",
    ),
    ("--host", "NAME", "resnet50", HOST_HELP),
    (
        "--device",
        "NAME",
        "auto",
        "cpu, cuda, cuda:1, xpu, mps; auto takes a GPU where there is one.",
    ),
    ("--batch-size", "N,...", "1", f"Images in one step. {SEVERAL}"),
    (
        "--image-size",
        "N|HxW,...",
        "the host's own, such as 224 or 800x1333",
        f"A square's side, or height x width. {SEVERAL}",
    ),
    (
        "--dtype",
        "NAME,...",
        "float32",
        "float32, bfloat16, float16; amp: float32 under autocast to bfloat16; amp-float16: to "
        "float16, with a gradient scaler in training (CUDA); int8 where --runtime has it.",
    ),
    ("--channels-last", None, True, "NHWC memory layout."),
    ("--mode", "NAME,...", "inference", "What a step is: inference, training."),
    ("--runtime", "NAME,...", "eager", RUNTIME_HELP),
    ("--compile", None, True, "Short for --runtime compile."),
    ("--eager", None, True, "With --compile or --cuda-graph: the eager ones as well."),
    ("--cuda-graph", None, True, "Short for --runtime cuda-graph, also with --compile."),
    (
        "--calibrate",
        "DIR",
        "noise of other seeds",
        "int8: images to take its ranges from, anywhere in a folder; at most 64.",
    ),
    (
        "--cudnn-benchmark",
        None,
        True,
        "On CUDA: let cuDNN try its algorithms, and each process choose its own.",
    ),
    ("--isolated", None, True, "Modules alone, at the sizes they have in the host."),
    ("--stages", "N,...", "1,2,3,4", "The stages that carry the module, such as 2,3,4 or c3-c5."),
    ("--blocks", "NAME", "all", "The blocks of each stage that carry it: all, last."),
    (
        "--at",
        "PATTERNS",
        "where residual branches end",
        "Put the module behind the host's modules of these paths, such as "
        "features.*.conv.3@BatchNorm2d: shell patterns that do not cross dots, an optional type, "
        "!pattern excludes.",
    ),
    (
        "--replace",
        "KIND",
        "nothing",
        "squeeze-excite: the module takes the place of the host's own modules of this kind.",
    ),
    ("--budget", "SECONDS", "100", "Most time in the timed rounds of one run."),
    (
        "--processes",
        "N",
        "6; 1 with --compile, --isolated or a budget below 60 s",
        "Fresh processes that share the rounds of a run, one after the other; what differs between "
        "them is in the intervals.",
    ),
    (
        "--energy",
        "ROUNDS",
        "none",
        "Also measure joules an image, from the hardware's own counter: rounds of windows of 5 s, "
        "one for each network, apart from the timing; at least 6.",
    ),
    (
        "--timeout",
        "SECONDS",
        "600",
        "Most time for one step of a child process: a trial, a count, a memory peak, a warm-up, a "
        "round. What takes longer is ended, and has failed.",
    ),
    (
        "--wait-for-quiet",
        "SECONDS",
        "60, or a shorter --budget",
        "Most time, in all rounds of a run together, to hold a round back while other programs use "
        "its cores; 0 does not wait. Rounds beside them are flagged.",
    ),
    ("--threads", "N", "torch's choice", "Threads that a CPU computes with."),
    ("--seed", "N", "0", "The seed of weights, input and order."),
    (
        "--repeat",
        "N",
        "1",
        "Runs of each configuration, each in a folder of its own, through all configurations "
        "before the next repetition. Tables pool them.",
    ),
    (
        "--every",
        "MINUTES",
        "0",
        "With --repeat: least time between the starts of two repetitions.",
    ),
    (
        "--profile",
        None,
        True,
        "Also profile each network apart from the timing: where the time of a step goes, by stage "
        "and operator. Eager inference on CPU or CUDA.",
    ),
    (
        "--no-wait",
        None,
        True,
        "End with status 2 where another process measures, trains or evaluates on the device, "
        "instead of waiting for its end.",
    ),
    (
        "--share",
        None,
        True,
        "Measure beside another process on the device, which flags every round of both.",
    ),
    (
        "--out",
        "DIR",
        "a new one under reports/",
        "Output folder. An unfinished run in it is resumed.",
    ),
    (
        "--dry-run",
        None,
        True,
        "Say what would be measured, where and how long, and write nothing. Custom modules are "
        "tried, which runs their code.",
    ),
    (
        "--format",
        "FORMAT",
        True,
        "text or json. json: one object at the end on standard output, and all else on standard "
        "error.",
    ),
]


def test_the_options_of_run_letter_by_letter() -> None:
    command = typer.main.get_command(app).commands["run"]
    shown = [
        (option.opts[0], option.metavar, option.show_default, option.help)
        for option in command.params
        if option.name != "help"
    ]
    assert shown == OPTIONS
    assert all(len(option.opts) == 1 and not option.secondary_opts for option in command.params)
