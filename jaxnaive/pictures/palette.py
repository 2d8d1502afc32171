"""The colours of all figures, and the marks and dashes that mean the same: no colour says anything alone.

The first seven are those of Okabe and Ito, which people with any kind of colour vision tell apart.

Source: M. Okabe, K. Ito, "Color universal design", 2008.
"""

from typing import Any

BLUE, VERMILION, GREEN = "#0072B2", "#D55E00", "#009E73"
PURPLE, ORANGE, SKY, BLACK = "#CC79A7", "#E69F00", "#56B4E9", "#000000"
PALE_BLUE, PALE_ORANGE = "#C9DFF0", "#FDE3CB"  # areas that something is written or drawn on
LIGHT_BLUE = "#8FB9DC"
WHITE, PALE, FAINT, MUTED, INK = (
    "#FFFFFF",
    "#EBEBEB",
    "#BFBFBF",
    "#666666",
    "#333333",
)  # greys, from the lightest

Style = dict[str, Any]  # what matplotlib takes of a line or a mark

STYLES: tuple[Style, ...] = tuple(
    {"color": color, "marker": marker, "linestyle": dash}
    for color, marker, dash in (
        (BLUE, "o", "-"),
        (VERMILION, "s", "--"),
        (GREEN, "^", "-."),
        (PURPLE, "D", ":"),
        (ORANGE, "v", (0, (5, 1))),
        (SKY, "P", (0, (3, 1, 1, 1))),
        (BLACK, "X", (0, (1, 1))),
    )
)
"""Of lines that are compared."""
LINES: tuple[Style, ...] = tuple(
    {"color": style["color"], "linestyle": style["linestyle"]} for style in STYLES
)
"""The same without marks, for lines of many points."""

RIGHT, WRONG = {"color": BLUE, "marker": "o"}, {"color": VERMILION, "marker": "X"}
CLASSES = ({"color": BLUE, "marker": "o"}, {"color": VERMILION, "marker": "^"})  # points of two classes
TRAINING, VALIDATION, TEST = STYLES[0], STYLES[1], {"color": BLACK, "marker": "D"}
BEFORE, AFTER = FAINT, BLUE
VALUE, GRADIENT = MUTED, "#B3262B"  # the red that the pages' graph has for gradients
SIGNED = "RdBu"  # colour map, from below 0 to above it


def text_on(color: str) -> str:
    """Black or white: what is easier to read on a colour, ``#RRGGBB``."""
    red, green, blue = (int(color[place : place + 2], 16) / 255 for place in (1, 3, 5))
    return WHITE if 0.2126 * red**2.2 + 0.7152 * green**2.2 + 0.0722 * blue**2.2 < 0.18 else BLACK
