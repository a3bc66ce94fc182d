"""Print text that others wrote, e.g. file names and headers of weights, without its control characters."""

from __future__ import annotations


def printable(text: object) -> str:
    """Return the text on one line, with every character that a terminal does not print as an escape like `\\x1b`.

    Control characters set the title of a terminal or forge lines; others reverse the direction of writing. Surrogates,
    which stand for the bytes of file names that are not valid Unicode, are escaped too.
    """
    return "".join(letter if letter.isprintable() else _escape(letter) for letter in str(text))


def printable_lines(text: object) -> str:
    """Return the text as `printable`, but keep line breaks and tabs: a message may hold one problem per line."""
    return "".join(letter if letter.isprintable() or letter in "\n\t" else _escape(letter) for letter in str(text))


def _escape(letter: str) -> str:
    return letter.encode("unicode_escape").decode("ascii")
