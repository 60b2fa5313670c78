"""The configuration files of a new cluster: postgresql.conf, postgresql.auto.conf, pg_hba.conf and pg_ident.conf."""

from __future__ import annotations

from itertools import groupby

from tusk.config import Parameter, parameters
from tusk.config.files import quote_value

_WIDTH = 79
_HIDDEN = ("Preset Options", "Developer Options", "Ungrouped")
_CONTEXT_NOTE = {
    "postmaster": "(change requires restart)",
    "superuser-backend": "(takes effect in new sessions)",
    "backend": "(takes effect in new sessions)",
}
_ORDER = (
    "File Locations", "Connections and Authentication", "Resource Usage", "Write-Ahead Log", "Replication",
    "Query Tuning", "Reporting and Logging", "Statistics", "Vacuuming", "Client Connection Defaults",
    "Lock Management", "Version and Platform Compatibility", "Error Handling",
)  # fmt: skip

CONF_HEAD = """\
# Configuration of this database cluster, written by initdb.
#
# One setting a line: name = value. Strings that are not plain words go in single quotes. What follows a # is a
# comment. A line that is commented out shows the default; to return to a default, comment the line out again.
#
# Most settings take effect on reload (SIGHUP, "tusk ctl reload", SELECT pg_reload_conf()); those marked
# "change requires restart" only when the server starts. ALTER SYSTEM writes to postgresql.auto.conf, which is
# read after this file and wins.
#
# Units of memory: B kB MB GB TB; of time: us ms s min h d.
"""

HBA_HEAD = """\
# Client authentication: who may connect from where to what, and how they prove who they are.
#
# The first line that fits connection type, database, user and address decides. If none fits, the connection is
# refused. Changes take effect on reload.
#
#   local          DATABASE  USER           METHOD  [OPTIONS]
#   host           DATABASE  USER  ADDRESS  METHOD  [OPTIONS]
#   hostssl        DATABASE  USER  ADDRESS  METHOD  [OPTIONS]
#   hostnossl      DATABASE  USER  ADDRESS  METHOD  [OPTIONS]
#   include, include_if_exists, include_dir  FILE OR DIRECTORY
#
# DATABASE: all, sameuser, samerole, replication, a name, /regular expression, @file, or a list with commas.
# USER: all, a name, +role for its members, /regular expression, @file, or a list with commas.
# ADDRESS: a network such as 192.0.2.0/24, a host name, samehost, samenet or all.
"""

HBA_TRUST_WARNING = """\
# CAUTION: "trust" lets any local user connect as any database user, the superuser included. If that is not
# wanted, use another method.
"""

IDENT_HEAD = """\
# User name maps: which database users an externally authenticated user may be. Used by lines of pg_hba.conf
# with the option map=MAPNAME. Changes take effect on reload.
#
#   MAPNAME  SYSTEM-USERNAME  DATABASE-USERNAME
"""

AUTO_CONF = "# Written by ALTER SYSTEM, which replaces this file: changes made by hand get lost.\n"


def _line(item: Parameter, value: str | None) -> str:
    """``#name = default`` or ``name = value`` with a note on when a change takes effect."""
    shown = item.format(item.boot_value) if value is None else value
    if (
        item.vartype == "string"
        or not shown
        or (item.vartype == "enum" and "-" in shown)
        or (value is not None and not all(c.isalnum() or c in "_.+-" for c in shown))
    ):
        shown = quote_value(shown)
    text = f"{'#' if value is None else ''}{item.name} = {shown}"
    note = _CONTEXT_NOTE.get(item.context, "")
    tabs = "\t" * max(1, (40 - len(text)) // 8)
    return f"{text}{tabs}# {note}" if note else text


def postgresql_conf(values: dict[str, str]) -> str:
    """The file: every setting that belongs in it, those of ``values`` set and the others as comments.

    Settings in ``values`` that have no place of their own (an extension's, a developer's) go to the end.
    """
    listed = [p for p in parameters() if "NOT_IN_SAMPLE" not in p.flags and p.category not in _HIDDEN]

    def section(item: Parameter) -> tuple[int, str]:
        top = item.category.split(" / ")[0]
        return (_ORDER.index(top) if top in _ORDER else len(_ORDER), item.category)

    out = [CONF_HEAD]
    written = set()
    previous = ""
    for (_rank, category), items in groupby(sorted(listed, key=section), key=section):
        top, _, sub = category.partition(" / ")
        if top != previous:
            out.append(f"\n#{'-' * (_WIDTH - 1)}\n# {top.upper()}\n#{'-' * (_WIDTH - 1)}\n")
            previous = top
        if sub:
            out.append(f"\n# - {sub} -\n")
        for item in items:
            out.append(_line(item, values.get(item.name)))
            written.add(item.name)
        out.append("")
    out.append(f"\n#{'-' * (_WIDTH - 1)}\n# CONFIG FILE INCLUDES\n#{'-' * (_WIDTH - 1)}\n")
    out += ["#include_dir = '...'", "#include_if_exists = '...'", "#include = '...'", ""]
    out.append(f"\n#{'-' * (_WIDTH - 1)}\n# CUSTOMIZED OPTIONS\n#{'-' * (_WIDTH - 1)}\n")
    out += [f"{name} = {quote_value(value)}" for name, value in values.items() if name not in written]
    return "\n".join(out).rstrip("\n") + "\n"


def pg_hba_conf(local_method: str, host_method: str) -> str:
    """Rules for connections from this machine, for users and for replication."""
    out = [HBA_HEAD]
    if "trust" in (local_method, host_method):
        out.append(HBA_TRUST_WARNING)
    out.append("# TYPE  DATABASE        USER            ADDRESS                 METHOD\n")
    for database in ("all", "replication"):
        out.append(f"local   {database:<15} {'all':<39} {local_method}")
        out.append(f"host    {database:<15} {'all':<15} {'127.0.0.1/32':<23} {host_method}")
        out.append(f"host    {database:<15} {'all':<15} {'::1/128':<23} {host_method}")
    return "\n".join(out) + "\n"


def pg_ident_conf() -> str:
    """No maps, only how to write them."""
    return IDENT_HEAD
