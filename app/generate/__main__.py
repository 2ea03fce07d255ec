"""``python -m app.generate``: write every file of the repository that follows from declarations."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence

from app.generate.files import ROOT, generated


def main(argv: Sequence[str] | None = None) -> int:
    """Write the files, or with ``--check`` only say which are outdated. Returns the exit status."""
    parser = argparse.ArgumentParser(prog="python -m app.generate", description=__doc__)
    parser.add_argument("--check", action="store_true", help="write nothing; fail when outdated")
    only_check = parser.parse_args(argv).check
    outdated = {
        path: text
        for path, text in generated().items()
        if not path.exists() or path.read_text(encoding="utf-8") != text
    }
    for path, text in outdated.items():
        name = path.relative_to(ROOT)
        if only_check:
            print(f"{name} is outdated: run `python -m app.generate`")
        else:
            path.write_text(text, encoding="utf-8")
            print(f"{name} is written")
    return 1 if only_check and outdated else 0


if __name__ == "__main__":
    sys.exit(main())
