"""Text from strangers, fit for a terminal: names of players and the like are hostile input."""


def printable(text: str) -> str:
    """The text with everything that does not print by its number: escape sequences, line breaks and the like."""
    return text if text.isprintable() else "".join(map(_shown, text))


def _shown(character: str) -> str:
    return character if character.isprintable() else character.encode("unicode_escape").decode()
