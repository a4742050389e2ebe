"""Names in one text, with commas between them."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Piece:
    """One name, without the blanks around it."""

    text: str
    start: int
    """Offset of its first character in the text."""

    @property
    def end(self) -> int:
        """Offset after its last character."""
        return self.start + len(self.text)


def pieces(text: str) -> tuple[Piece, ...]:
    """Split a text at its commas; two commas side by side have an empty name between them."""
    found: list[Piece] = []
    start = 0
    for part in text.split(","):
        name = part.strip()
        blanks = len(part) - len(part.lstrip()) if name else 0
        found.append(Piece(name, start + blanks))
        start += len(part) + 1
    return tuple(found)
