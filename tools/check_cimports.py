"""Check that each cimport goes down the list of layers, as import-linter does for imports.

Reads the layers of the contract "imports go down" in pyproject.toml. Modules directly under ``tusk`` that hold types
only (``_types``) may be cimported from everywhere. Exit status 1 and a line for each offence.
"""

from __future__ import annotations

import re
import sys
import tomllib
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
_CIMPORT = re.compile(r"^\s*(?:from\s+(tusk[\w.]*)\s+cimport|cimport\s+(tusk[\w.]*))", re.M)


def layers() -> dict[str, tuple[int, int]]:
    """Package -> (layer, place within it); packages of one layer, joined by a bar, do not see each other."""
    config = tomllib.loads((ROOT / "pyproject.toml").read_text())
    contract = config["tool"]["importlinter"]["contracts"][0]
    found = {}
    for number, layer in enumerate(contract["layers"]):
        for place, name in enumerate(layer.split("|")):
            found[name.strip()] = (number, place)
    found["_types"] = (len(contract["layers"]), 0)      # a .pxd alone, which import-linter does not see
    return found


def main() -> int:
    """Report offences."""
    known = layers()
    offences = []
    for path in sorted((ROOT / "src" / "tusk").rglob("*.p[yx]*")):
        if path.suffix not in (".pyx", ".pxd"):
            continue
        package = path.relative_to(ROOT / "src" / "tusk").parts[0].split(".")[0]
        for match in _CIMPORT.finditer(path.read_text()):
            target = (match[1] or match[2]).split(".")
            used = target[1] if len(target) > 1 else ""
            if not used or used == package:
                continue
            if package not in known or used not in known:
                offences.append(f"{path.relative_to(ROOT)}: {used if used not in known else package} has no layer")
            elif known[used][0] <= known[package][0]:
                offences.append(f"{path.relative_to(ROOT)}: cimports {'.'.join(target)}, which is not below {package}")
    print("\n".join(offences) or "cimports go down")
    return 1 if offences else 0


if __name__ == "__main__":
    sys.exit(main())
