"""Write the derived parts of the documentation anew: python -m tests.docs."""

from tests.docs.generated import BLOCKS
from tests.docs.pages import pages, with_blocks


def main() -> None:
    """Rewrite every page whose derived parts have changed; print its name."""
    for page in pages():
        text = page.path.read_text("utf-8")
        wanted = with_blocks(text, {name: make() for name, make in BLOCKS.items()})
        if wanted != text:
            page.path.write_text(wanted, "utf-8")
            print(page.name)


if __name__ == "__main__":
    main()
