"""``python -m tusk.cli``: the same as ``tusk``."""

from tusk.cli import main

main()
