"""What the lab prints: steps with their time, and tables; colour only on a terminal (and not with NO_COLOR)."""

import os
import sys
import time

_colour = sys.stdout.isatty() and "NO_COLOR" not in os.environ


def paint(code, text):
    return f"\033[{code}m{text}\033[0m" if _colour else text


def bold(text):
    return paint("1", text)


def dim(text):
    return paint("2", text)


def green(text):
    return paint("32", text)


def red(text):
    return paint("31", text)


def cyan(text):
    return paint("36", text)


def title(text):
    print(f"\n{bold(cyan('──'))} {bold(text)}", flush=True)


def line(text=""):
    print(text, flush=True)


class step:
    """`with step("the network"):` prints the name, then how it went and how long it took. The block may set
    `note`, which is printed behind."""

    def __init__(self, name, width=46):
        self.name, self.width, self.note = name, width, ""

    def __enter__(self):
        print(f"   {self.name:<{self.width}}", end=" ", flush=True)
        self.began = time.monotonic()
        return self

    def __exit__(self, kind, *_):
        mark = green("ok") if kind is None else red("failed")
        print(f"{mark}  {dim(f'{time.monotonic() - self.began:5.1f} s')}  {self.note}".rstrip(), flush=True)


def table(columns, rows, indent=3):
    """Aligned columns; numbers to the right. `columns` are headings."""
    cells = [[str(c) for c in row] for row in rows]
    widths = [max(len(heading), *(len(r[i]) for r in cells)) if cells else len(heading)
              for i, heading in enumerate(columns)]
    pad = " " * indent
    print(pad + dim("  ".join(h.ljust(w) for h, w in zip(columns, widths)).rstrip()))
    for row in cells:
        print(pad + "  ".join(c.rjust(w) if c.isdigit() else c.ljust(w) for c, w in zip(row, widths)).rstrip())
    sys.stdout.flush()


def block(text, indent=3):
    """Text of a program, moved in."""
    for each in text.rstrip("\n").splitlines():
        print(" " * indent + each)
    sys.stdout.flush()
