"""Mutate bytes: the same seed gives the same mutation."""

from __future__ import annotations

import random

TOKENS = (b"-1", b"1e999", b"99999999999999999999", b"null", b"true", b"[]", b"{}", b'""', b"\x00", b"\xff\xff\xff\xff")
"""Values that often break readers."""


def mutated(content: bytes, seed: int) -> bytes:
    """Return the content with one to four changes."""
    draw, changed = random.Random(seed), bytearray(content)
    for _ in range(draw.randint(1, 4)):
        at = draw.randrange(len(changed) + 1)
        length = draw.choice((1, 1, 2, 4, 16, 200))
        action = draw.randrange(5)
        if action == 0 and at < len(changed):
            changed[at] ^= 1 << draw.randrange(8)
        elif action == 1:
            changed[at : at + length] = b""
        elif action == 2:
            changed[at:at] = changed[at : at + length]
        elif action == 3:
            changed[at : at + length] = draw.choice(TOKENS)
        else:
            changed = changed[:at] if draw.random() < 0.3 else changed[:at] + draw.randbytes(length) + changed[at:]
    return bytes(changed)
