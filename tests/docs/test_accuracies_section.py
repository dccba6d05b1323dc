import accuracies_section


def test_every_figure_of_the_text_is_computed() -> None:
    text = " ".join(accuracies_section.text().split())
    # Best less last epoch: least CBAM in ResNet-50, 77.626 - 77.618; most plain ResNet-101,
    # 78.200 - 78.012; their mean with .084, .038, .100, .098, .028, .058 and .038 is .640 / 9.
    assert "0.008 to 0.188 above the last, 0.071 in the mean of 9 networks" in text
    assert "between 77.42 (ECA) and 77.882 (SA)" in text
    assert "75.20 to 80.382 at 224x224" in text
    # 1.96 * sqrt(.776 * .224 / 50,000) = 0.003655.
    assert "uncertain by ±0.37" in text


def test_timms_recipes_change_the_sign_of_ses_gain() -> None:
    rows = [row for row in accuracies_section.text().splitlines() if "| resnet50 | hugging" in row]
    gains = {row.split("|")[2].split(", ")[1].strip(): row.split("|")[-2].strip() for row in rows}
    assert gains["a2"] == "+0.320"  # at 288x288, which stands after 224x224
    for row in (
        "a1 | 224x224 | 80.382 | 80.012 | -0.370",
        "a2 | 224x224 | 79.828 | 80.102 | +0.274",
        "a3 | 160x160 | 75.994 | 75.104 | -0.890",
        "ra2 | 256x256 | 79.216 | 80.380 | +1.164",
    ):
        assert row in accuracies_section.text()
