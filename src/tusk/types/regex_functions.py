"""The operators ~ and its kin, substring by regular expression, and the regexp_* functions."""

import re
from collections.abc import Iterator

from tusk.errors import SqlError, errcode
from tusk.types.regex import Options, compile_regex
from tusk.types.registry import function
from tusk.types.values import Array

TEXTOID = 25
Match = re.Match[str]


def _options(flags: str = "", name: str = "", glob: bool = False) -> Options:
    options = Options()
    options.set_flags(flags)
    if options.global_match and name:
        hint = "Use the regexp_matches function instead." if name == "regexp_match" else None
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE, f'{name}() does not support the "global" option', hint=hint
        )
    options.global_match = options.global_match or glob
    return options


def _ignoring_case() -> Options:
    options = Options()
    options.ignore_case = True
    return options


def _matches(text: str, pattern: str) -> bool:
    return compile_regex(pattern, Options()).search(text) is not None


def _matches_ignoring_case(text: str, pattern: str) -> bool:
    return compile_regex(pattern, _ignoring_case()).search(text) is not None


function("textregexeq", "bpcharregexeq", "nameregexeq")(_matches)
function("textregexne", "bpcharregexne", "nameregexne")(lambda text, pattern: not _matches(text, pattern))
function("texticregexeq", "bpcharicregexeq", "nameicregexeq")(_matches_ignoring_case)
function("texticregexne", "bpcharicregexne", "nameicregexne")(
    lambda text, pattern: not _matches_ignoring_case(text, pattern)
)


@function("textregexsubstr")
def _substring(text: str, pattern: str) -> str | None:
    found = compile_regex(pattern, Options()).search(text)
    if found is None:
        return None
    return found[1] if found.re.groups else found[0]


def find_all(text: str, pattern: str, options: Options, start: int = 0, skip_empty_ends: bool = False) -> list[Match]:
    """Successive matches, all with the global option, else the first; an empty one moves the search by a character.

    ``skip_empty_ends`` leaves out empty matches at the ends of the text or right after another match (for splitting).
    """
    compiled = compile_regex(pattern, options)
    found: list[Match] = []
    previous_end = 0
    while start <= len(text):
        match = compiled.search(text, start)
        if match is None:
            break
        if not skip_empty_ends or (match.start() < len(text) and match.end() > previous_end):
            found.append(match)
        if not options.global_match:
            break
        previous_end = match.end()
        start = match.end() + (match.start() == match.end())
    return found


def _groups(match: Match) -> Array:
    return Array.of(TEXTOID, match.groups() if match.re.groups else (match[0],))


@function("regexp_match", "regexp_match_no_flags")
def _regexp_match(text: str, pattern: str, flags: str = "") -> Array | None:
    found = find_all(text, pattern, _options(flags, "regexp_match"))
    return _groups(found[0]) if found else None


@function("regexp_matches", "regexp_matches_no_flags", set_returning=True)
def _regexp_matches(text: str, pattern: str, flags: str = "") -> Iterator[Array]:
    for match in find_all(text, pattern, _options(flags)):
        yield _groups(match)


def _expand(template: str, match: Match) -> str:
    r"""Fill \1..\9, \& and \\ of a replacement."""
    if "\\" not in template:
        return template
    out: list[str] = []
    position = 0
    while position < len(template):
        character = template[position]
        following = template[position + 1 : position + 2]
        if character != "\\" or not following:
            out.append(character)
            position += 1
            continue
        if following in "123456789":
            number = int(following)
            out.append((match[number] or "") if number <= match.re.groups else "")
        elif following == "&":
            out.append(match[0])
        elif following == "\\":
            out.append("\\")
        else:
            out.append(character)
            position += 1
            continue
        position += 2
    return "".join(out)


def _replace(text: str, pattern: str, template: str, options: Options, start: int = 0, which: int = 0) -> str:
    every = options.global_match if which == 0 else False
    options.global_match = True
    out: list[str] = []
    copied = 0
    matches = find_all(text, pattern, options, start) if every or which > 1 else None
    if matches is None:
        options.global_match = False
        matches = find_all(text, pattern, options, start)
        which = 1
    for number, match in enumerate(matches, 1):
        if not every and number != which:
            continue
        out.append(text[copied : match.start()])
        out.append(_expand(template, match))
        copied = match.end()
        if not every:
            break
    out.append(text[copied:])
    return "".join(out)


@function("textregexreplace_noopt")
def _replace_first(text: str, pattern: str, template: str) -> str:
    return _replace(text, pattern, template, Options())


@function("textregexreplace")
def _replace_flags(text: str, pattern: str, template: str, flags: str) -> str:
    if flags[:1].isdigit():
        raise SqlError(
            errcode.INVALID_PARAMETER_VALUE,
            f'invalid regular expression option: "{flags[0]}"',
            hint="If you meant to use regexp_replace() with a start parameter, cast the fourth argument to integer"
            " explicitly.",
        )
    return _replace(text, pattern, template, _options(flags))


def _check(value: int, name: str, minimum: int, maximum: int | None = None) -> int:
    if value < minimum or (maximum is not None and value > maximum):
        raise SqlError(errcode.INVALID_PARAMETER_VALUE, f'invalid value for parameter "{name}": {value}')
    return value


@function("textregexreplace_extended", "textregexreplace_extended_no_n", "textregexreplace_extended_no_flags")
def _replace_extended(
    text: str, pattern: str, template: str, start: int, which: int | None = None, flags: str = ""
) -> str:
    _check(start, "start", 1)
    if which is not None:
        _check(which, "n", 0)
    options = _options(flags)
    if which is None:
        which = 0 if options.global_match else 1
    elif which == 0:
        options.global_match = True
    return _replace(text, pattern, template, options, start - 1, which)


@function("regexp_count", "regexp_count_no_start", "regexp_count_no_flags")
def _regexp_count(text: str, pattern: str, start: int = 1, flags: str = "") -> int:
    _check(start, "start", 1)
    return len(find_all(text, pattern, _options_for("regexp_count", flags), start - 1))


def _options_for(name: str, flags: str) -> Options:
    options = _options(flags, name)
    options.global_match = True
    return options


@function("regexp_like", "regexp_like_no_flags")
def _regexp_like(text: str, pattern: str, flags: str = "") -> bool:
    return compile_regex(pattern, _options(flags, "regexp_like")).search(text) is not None


@function(
    "regexp_instr", "regexp_instr_no_start", "regexp_instr_no_n", "regexp_instr_no_endoption",
    "regexp_instr_no_flags", "regexp_instr_no_subexpr",
)  # fmt: skip
def _regexp_instr(
    text: str, pattern: str, start: int = 1, which: int = 1, end_option: int = 0, flags: str = "", group: int = 0
) -> int:
    _check(start, "start", 1)
    _check(which, "n", 1)
    _check(end_option, "endoption", 0, 1)
    _check(group, "subexpr", 0)
    matches = find_all(text, pattern, _options_for("regexp_instr", flags), start - 1)
    if which > len(matches) or group > matches[which - 1].re.groups:
        return 0
    match = matches[which - 1]
    if match.start(group) < 0:
        return 0
    return (match.end(group) if end_option else match.start(group)) + 1


@function(
    "regexp_substr", "regexp_substr_no_start", "regexp_substr_no_n", "regexp_substr_no_flags",
    "regexp_substr_no_subexpr",
)  # fmt: skip
def _regexp_substr(
    text: str, pattern: str, start: int = 1, which: int = 1, flags: str = "", group: int = 0
) -> str | None:
    _check(start, "start", 1)
    _check(which, "n", 1)
    _check(group, "subexpr", 0)
    matches = find_all(text, pattern, _options_for("regexp_substr", flags), start - 1)
    if which > len(matches) or group > matches[which - 1].re.groups:
        return None
    found: str | None = matches[which - 1][group]
    return found


def _split(text: str, pattern: str, flags: str, name: str) -> Iterator[str]:
    options = _options(flags, name)
    options.global_match = True
    position = 0
    for match in find_all(text, pattern, options, 0, skip_empty_ends=True):
        yield text[position : match.start()]
        position = match.end()
    yield text[position:]


@function("regexp_split_to_array", "regexp_split_to_array_no_flags")
def _split_to_array(text: str, pattern: str, flags: str = "") -> Array:
    return Array.of(TEXTOID, _split(text, pattern, flags, "regexp_split_to_array"))


@function("regexp_split_to_table", "regexp_split_to_table_no_flags", set_returning=True)
def _split_to_table(text: str, pattern: str, flags: str = "") -> Iterator[str]:
    return _split(text, pattern, flags, "regexp_split_to_table")
