"""Text as LaTeX sets it, whatever stands in it: for any LaTeX, with no package."""

from __future__ import annotations

import unicodedata

_SPECIAL = {
    "\\": r"\textbackslash{}",
    "{": r"\{",
    "}": r"\}",
    "&": r"\&",
    "%": r"\%",
    "$": r"\$",
    "#": r"\#",
    "_": r"\_",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "`": r"\textasciigrave{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    "–": "--",
    "—": "---",
    "…": r"\dots{}",
    "±": r"$\pm$",
    "·": r"$\cdot$",
    "µ": r"$\mu$",
    "ß": r"\ss{}",
    "æ": r"\ae{}",
    "Æ": r"\AE{}",
    "œ": r"\oe{}",
    "Œ": r"\OE{}",
    "ø": r"\o{}",
    "Ø": r"\O{}",
    "ł": r"\l{}",
    "Ł": r"\L{}",
}

_ACCENTS = {
    "\N{COMBINING GRAVE ACCENT}": "`",
    "\N{COMBINING ACUTE ACCENT}": "'",
    "\N{COMBINING CIRCUMFLEX ACCENT}": "^",
    "\N{COMBINING TILDE}": "~",
    "\N{COMBINING MACRON}": "=",
    "\N{COMBINING BREVE}": "u",
    "\N{COMBINING DOT ABOVE}": ".",
    "\N{COMBINING DIAERESIS}": '"',
    "\N{COMBINING RING ABOVE}": "r",
    "\N{COMBINING DOUBLE ACUTE ACCENT}": "H",
    "\N{COMBINING CARON}": "v",
    "\N{COMBINING CEDILLA}": "c",
}

_BOTH = ("gamma", "delta", "theta", "lambda", "xi", "pi", "sigma", "upsilon", "phi", "psi", "omega")
_SMALL = (
    "alpha",
    "beta",
    "epsilon",
    "zeta",
    "eta",
    "iota",
    "kappa",
    "mu",
    "nu",
    "rho",
    "tau",
    "chi",
)
"""Greek letters that LaTeX has in formulas; other capitals look like Latin ones."""

_LIGATURES = "-,'"
"""What LaTeX draws as another sign where it stands twice."""


def escaped(text: str) -> str:
    """The text on one line; a sign that plain LaTeX lacks stands as ``U+6CE8``, its number."""
    text = " ".join(unicodedata.normalize("NFC", text).split())
    before = ["", *text]
    return "".join(
        ("{}" if char in _LIGATURES and char == last else "") + _sign(char)
        for last, char in zip(before, text, strict=False)
    )


def _sign(char: str) -> str:
    if char in _SPECIAL:
        return _SPECIAL[char]
    if char.isascii() and char.isprintable():
        return char
    base, accent = _parts(char)
    if base.isascii() and base.isalpha() and accent in _ACCENTS:
        return rf"\{_ACCENTS[accent]}{{{base}}}"
    return _greek(char) or rf"\texttt{{U+{ord(char):04X}}}"


def _parts(char: str) -> tuple[str, str]:
    """A letter and what stands above or below it."""
    parts = unicodedata.normalize("NFD", char)
    return parts[:1], parts[1:]


def _greek(char: str) -> str | None:
    kind, _, name = unicodedata.name(char, "").lower().rpartition(" letter ")
    name = name.replace("lamda", "lambda")  # Unicode spells it so
    if kind == "greek small" and name in _BOTH + _SMALL:
        return rf"$\{name}$"
    if kind == "greek capital" and name in _BOTH:
        return rf"$\{name.title()}$"
    return None
