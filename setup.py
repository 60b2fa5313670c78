"""Compile every ``.pyx`` under ``src/tusk`` into an extension module of its own.

``TUSK_BUILD`` chooses the build: ``plain`` (optimised, the default), ``quick`` (fast to compile), ``debug``
(bounds, None and initialisation checks, assertions and ``TUSK_DEBUG`` invariants), ``relassert`` (optimised
with assertions), ``asan`` (debug plus AddressSanitizer) and ``none`` (no compiling: for an editable install of a tree
that has been built in place).
"""

import os
import runpy
import shutil
import sys
from pathlib import Path

from Cython.Build import cythonize
from setuptools import Extension, setup
from setuptools.command.build_ext import build_ext

sys.path.insert(0, str(Path(__file__).parent / "tools"))
from bundle import bundle

BUILD = os.environ.get("TUSK_BUILD", "plain")
FLAGS = {
    "plain": ["-O2", "-DCYTHON_WITHOUT_ASSERTIONS"],
    "quick": ["-O1", "-g0"],
    "relassert": ["-O2", "-g"],
    "debug": ["-O1", "-g", "-DTUSK_DEBUG=1"],
    "asan": ["-O1", "-g", "-DTUSK_DEBUG=1", "-fsanitize=address", "-fno-omit-frame-pointer"],
    "none": [],
}
LINK = {"asan": ["-fsanitize=address"]}
# Two mappings a module instead of five: the postmaster maps a hundred of them, and every fork copies the list.
COMPACT = ["-Wl,-z,norelro", "-Wl,-z,noseparate-code"]
CHECKS = BUILD in ("debug", "asan")

# Plain Python that runs for every connection or message of a client: compiled as it stands. The .py is what a reader
# reads, and what runs where there is no compiled module.
COMPILED_PYTHON = [
    "src/tusk/backend/authentication.py",
    "src/tusk/backend/connection.py",
    "src/tusk/backend/connection_log.py",
    "src/tusk/backend/database.py",
    "src/tusk/backend/extended.py",
    "src/tusk/backend/hba.py",
    "src/tusk/backend/interrupts.py",
    "src/tusk/backend/main.py",
    "src/tusk/backend/protocol.py",
    "src/tusk/backend/quit_handler.py",
    "src/tusk/backend/session.py",
    "src/tusk/backend/startup_packet.py",
    "src/tusk/backend/statement_cache.py",
    "src/tusk/backend/template.py",
    "src/tusk/backend/warm.py",
    "src/tusk/backend/wire_destination.py",
    "src/tusk/catalog/acl.py",
    "src/tusk/catalog/cache.py",
    "src/tusk/catalog/inval.py",
    "src/tusk/catalog/relmap.py",
    "src/tusk/catalog/session.py",
    "src/tusk/catalog/tempschema.py",
    "src/tusk/commands/portal_manager.py",
    "src/tusk/commands/portals.py",
    "src/tusk/commands/tables.py",
    "src/tusk/config/parameters.py",
    "src/tusk/config/registry.py",
    "src/tusk/errors/reporting.py",
    "src/tusk/sql/execute/hooks.py",
    "src/tusk/sql/execute/triggers.py",
    "src/tusk/sql/plancache.py",
    "src/tusk/stats/session_info.py",
    "src/tusk/stats/title.py",
    "src/tusk/transaction/xact.py",
]


def extension(path: Path) -> Extension:
    """One module, compiled from a file below src."""
    return Extension(
        ".".join(path.relative_to("src").with_suffix("").parts),
        [str(path)],
        extra_compile_args=[*FLAGS[BUILD], "-std=gnu11", "-fno-strict-aliasing", "-Wno-unused-function",
                            "-Wno-unreachable-code", "-Wno-maybe-uninitialized", "-Wno-sign-compare"],
        extra_link_args=[*COMPACT, *LINK.get(BUILD, [])],
    )


def compiled(paths: list[Path], **directives: bool) -> list[Extension]:
    """Extensions of these files, under directives that come on top of the common ones."""
    return cythonize(
        [extension(path) for path in sorted(paths)],
        include_path=["src"],
        nthreads=int(os.environ.get("TUSK_JOBS", os.cpu_count() or 1)),
        show_all_warnings=False,
        compiler_directives={
            "language_level": 3,
            "binding": False,
            "legacy_implicit_noexcept": False,
            "embedsignature": True,
            "annotation_typing": False,
            **directives,
        },
    )


runpy.run_path("tools/generate_kernels.py", run_name="__main__")


class BuildExtensions(build_ext):  # type: ignore[misc]
    """The extension modules, and then all of them in one library (tools/bundle.py)."""

    def run(self) -> None:
        """Build what is out of date, then link the bundle if anything was."""
        super().run()
        modules = []
        for module in self.extensions:
            name = Path(module.sources[0]).with_suffix(".o")
            modules.append((Path(self.build_temp) / name, module.name, Path(self.get_ext_fullpath(module.name))))
        if modules and BUILD != "asan" and shutil.which("objcopy") and all(path.exists() for path, _, _ in modules):
            bundle(Path(self.get_ext_fullpath("tusk._bundle")), modules, Path(self.build_temp) / "bundle", [])


setup(
    cmdclass={"build_ext": BuildExtensions},
    ext_modules=[] if BUILD == "none" else [
        *compiled(
            [*Path("src/tusk").rglob("*.pyx")],
            boundscheck=CHECKS, wraparound=False, nonecheck=CHECKS, initializedcheck=CHECKS, cdivision=True,
        ),
        # Python that is merely compiled keeps Python's meaning: checked and negative indexes, floored division.
        *compiled([*map(Path, COMPILED_PYTHON)]),
    ],
)
