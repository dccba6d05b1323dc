from attnbench.naming import joined


def test_names_that_have_commas_are_told_apart_by_semicolons():
    assert joined(["SE", "SA"]) == "SE, SA"
    assert joined(["SE", "file.py:C,sizes=(3, 5)"]) == "SE; file.py:C,sizes=(3, 5)"
    assert joined(["sa,groups=32"]) == "sa,groups=32"
    assert joined([]) == ""
