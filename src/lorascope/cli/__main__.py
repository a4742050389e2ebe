"""`python -m lorascope.cli` is `lorascope`."""

from lorascope.cli.main import entry_point

if __name__ == "__main__":
    entry_point()
