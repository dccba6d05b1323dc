from attnbench.report.tables.columns import CONFIGURATION


def test_the_columns_before_those_of_a_run_letter_by_letter() -> None:
    assert [(column.key, column.unit, column.meaning) for column in CONFIGURATION] == [
        ("run", "", "The run's folder."),
        ("host", "", "The network that the modules are put into."),
        ("batch_size", "1", "Images in one step."),
        (
            "image_size",
            "pixel",
            "Height and width of an image, or `800x1333` where they differ.",
        ),
        (
            "dtype",
            "",
            "Of weights and images; `amp` and `amp-float16`: float32, computed under autocast "
            "to bfloat16 or float16.",
        ),
        ("channels_last", "", "Whether images lie in memory with their channels last."),
        ("mode", "", "`inference`, or `training`: forward, backward and optimiser step."),
        ("runtime", "", "What executes the networks."),
        (
            "calibration",
            "",
            "int8: the folder of images that its ranges are from, how many, and their SHA-256; "
            "empty where they are from noise.",
        ),
        ("cudnn_benchmark", "", "Whether cuDNN's benchmark is on."),
        ("isolated", "", "Whether modules run alone."),
        ("stages", "", "Of the host, those that carry the module, with spaces."),
        ("blocks", "", "Of each of these: `all`, or the `last`."),
        (
            "at",
            "",
            "The parts of the host that the module stands behind; empty for its own sites.",
        ),
        ("replace", "", "The kind of the host's own modules that give way to the module."),
        (
            "device",
            "",
            "`cpu`, `cuda`, or with a number where there are several: `cuda:1`.",
        ),
        ("threads", "1", "Of a CPU."),
        ("seed", "", "Of weights, images and order."),
        ("processor", "", "The GPU's name, or the CPU's."),
        ("torch", "", "Its version."),
        ("time", "", "When the run began."),
        ("control_fault", "", "Why there are no verdicts; empty where the control holds."),
    ]
    assert all(not column.heading for column in CONFIGURATION)
