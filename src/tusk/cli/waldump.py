"""``tusk waldump``: what pg_waldump shows, with its options."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import NoReturn

import click

from tusk.wal import waldump as wal
from tusk.wal.controlfile import format_lsn, parse_lsn
from tusk.wal.rmgr import RMGR_NAMES, rmgr_id

_FORKS = {"main": 0, "fsm": 1, "vm": 2, "init": 3}


def _fail(message: str, *, usage: bool = False) -> NoReturn:
    print(f"tusk waldump: error: {message}", file=sys.stderr)
    if usage:
        print('tusk waldump: hint: Try "tusk waldump --help" for more information.', file=sys.stderr)
    sys.exit(1)


def _lsn(text: str | None, what: str) -> int:
    if text is None:
        return 0
    try:
        return parse_lsn(text)
    except ValueError:
        _fail(f'invalid {what} WAL location: "{text}"', usage=True)


def _relation(text: str | None) -> tuple[int, int, int] | None:
    if text is None:
        return None
    parts = text.split("/")
    if len(parts) != 3 or not all(part.isdigit() for part in parts) or not int(parts[0]) or not int(parts[2]):
        _fail(f'invalid relation specification: "{text}"', usage=True)
    return int(parts[0]), int(parts[1]), int(parts[2])


def _rmgrs(names: tuple[str, ...]) -> frozenset[int] | None:
    ids = set()
    for name in names:
        if name == "list":
            print("\n".join(RMGR_NAMES))
            sys.exit(0)
        found = rmgr_id(name)
        if found is None and name.startswith("custom") and name[6:].isdigit() and len(name) == 9:
            found = int(name[6:])
        if found is None:
            _fail(f'resource manager "{name}" does not exist')
        ids.add(found)
    return frozenset(ids) if ids else None


def _locate(
    path: str | None, start_segment: str | None, end_segment: str | None, start: int, end: int, timeline: int
) -> tuple[Path, int, int, int, int]:
    """(directory, segment size, timeline, start, end) from segment names and LSNs."""
    name = Path(start_segment).name if start_segment else None
    if start_segment and Path(start_segment).parent != Path("."):
        path = str(Path(start_segment).parent)
    directory = wal.find_wal_directory(path, name)
    size = wal.segment_size_of(directory, name)
    if name is None:
        if not start:
            _fail("no start WAL location given", usage=True)
        return directory, size, timeline, start, end
    if not wal.is_segment_name(name):
        _fail(f'could not parse WAL segment name "{name}"')
    timeline, segno = wal.parse_segment_name(name, size)
    if not start:
        start = segno * size
    elif start // size != segno:
        _fail(f'start WAL location {format_lsn(start)} is not inside file "{name}"')
    last = segno
    if end_segment:
        end_name = Path(end_segment).name
        if not wal.is_segment_name(end_name) or not (directory / end_name).exists():
            _fail(f'could not open file "{end_name}"')
        last = wal.parse_segment_name(end_name, size)[1]
        if last < segno:
            _fail(f"ENDSEG {end_name} is before STARTSEG {name}")
    if not end:
        end = (last + 1) * size
    elif not segno * size <= end <= (last + 1) * size:
        _fail(f'end WAL location {format_lsn(end)} is not inside file "{Path(end_segment or name).name}"')
    return directory, size, timeline, start, end


@click.command(context_settings={"help_option_names": ["-?", "--help"]})
@click.option("-b", "--bkp-details", is_flag=True, help="output detailed information about backup blocks")
@click.option("-B", "--block", type=int, help="with --relation, only show records that modify block N")
@click.option("-e", "--end", "end_text", metavar="RECPTR", help="stop reading at WAL location RECPTR")
@click.option("-f", "--follow", is_flag=True, help="keep retrying after reaching end of WAL")
@click.option("-F", "--fork", type=click.Choice(list(_FORKS)), help="only records that modify blocks in this fork")
@click.option("-n", "--limit", type=click.IntRange(min=1), help="number of records to display")
@click.option("-p", "--path", help="directory with segment files, or one with a ./pg_wal that has them")
@click.option("-q", "--quiet", is_flag=True, help="do not print any output, except for errors")
@click.option("-r", "--rmgr", multiple=True, help="only records of this resource manager; `list` lists them")
@click.option("-R", "--relation", metavar="T/D/R", help="only records that modify blocks in this relation")
@click.option("-s", "--start", "start_text", metavar="RECPTR", help="start reading at WAL location RECPTR")
@click.option("-t", "--timeline", default="1", help="timeline from which to read")
@click.option("-w", "--fullpage", is_flag=True, help="only records with a full page write")
@click.option("-x", "--xid", type=int, help="only records with this transaction ID")
@click.option("-z", "--stats", is_flag=False, flag_value="rmgr", type=click.Choice(["rmgr", "record"]),
              help="show statistics instead of records")  # fmt: skip
@click.option("--save-fullpage", type=click.Path(path_type=Path), help="save full page images to this directory")
@click.argument("startseg", required=False)
@click.argument("endseg", required=False)
def waldump(
    bkp_details: bool, block: int | None, end_text: str | None, follow: bool, fork: str | None, limit: int | None,
    path: str | None, quiet: bool, rmgr: tuple[str, ...], relation: str | None, start_text: str | None, timeline: str,
    fullpage: bool, xid: int | None, stats: str | None, save_fullpage: Path | None, startseg: str | None,
    endseg: str | None,
) -> None:  # fmt: skip
    """Decode and display write-ahead logs for debugging."""
    chosen = wal.Filter(
        rmgrs=_rmgrs(rmgr), relation=_relation(relation), block=block, fork=_FORKS[fork] if fork else None, xid=xid,
        full_page_only=fullpage,
    )  # fmt: skip
    if block is not None and relation is None:
        _fail("option -B/--block requires option -R/--relation to be specified", usage=True)
    statistics = wal.Statistics(stats == "record") if stats else None
    try:
        timeline_id = int(timeline, 0)
    except ValueError:
        _fail(f'invalid value "{timeline}" for option -t/--timeline', usage=True)
    if save_fullpage is not None:
        save_fullpage.mkdir(exist_ok=True)
    try:
        directory, size, timeline_id, start, end = _locate(
            path, startseg, endseg, _lsn(start_text, "start"), _lsn(end_text, "end"), timeline_id
        )
        for text in wal.dump(
            directory, timeline_id, start, end, segment_size=size, limit=limit, chosen=chosen, detailed=bkp_details,
            quiet=quiet, follow=follow, statistics=statistics, image_directory=save_fullpage,
            notice=lambda line: print(f"tusk waldump: {line}", file=sys.stderr),
        ):  # fmt: skip
            sys.stdout.write(text)
    except wal.WaldumpError as error:
        sys.stdout.flush()
        _fail(str(error))
    except (BrokenPipeError, KeyboardInterrupt):
        sys.exit(1)
