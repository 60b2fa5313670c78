"""PostgreSQL's advanced regular expressions on Python's `re`.

The syntax is translated completely. Where the semantics differ: PostgreSQL finds the longest (or, when the first
quantifier is non-greedy, shortest) match of the whole expression, `re` the first one in order of preference. Both
agree on the start of the match and on whether there is one. Alternatives that are plain strings are tried longest
first, which makes the usual cases agree on the length as well; see "Differs from PostgreSQL" in the README.
"""

import re
from collections.abc import Callable

from tusk.errors import SqlError, errcode

_CLASSES = {
    "alpha": r"^\W\d_", "digit": r"\d", "alnum": r"^\W_", "space": r"\s", "upper": None, "lower": None,
    "punct": r"!-/:-@\[-`{-~", "blank": r" \t", "cntrl": r"\x00-\x1f\x7f", "print": None, "graph": None,
    "xdigit": "0-9A-Fa-f", "word": r"\w",
}  # fmt: skip
_SIMPLE_ESCAPES = {"a": "\a", "b": "\b", "B": "\\", "e": "\033", "f": "\f", "n": "\n", "r": "\r", "t": "\t", "v": "\v"}
_NAMED = {
    "NUL": "\0", "tab": "\t", "newline": "\n", "space": " ", "hyphen": "-", "hyphen-minus": "-", "period": ".",
    "slash": "/", "backslash": "\\", "comma": ",", "underscore": "_", "left-square-bracket": "[",
    "right-square-bracket": "]", "circumflex": "^", "plus-sign": "+", "asterisk": "*",
}  # fmt: skip
MAX_REPEAT = 255


def regex_error(reason: str) -> SqlError:
    """2201B with the regular expression library's reason."""
    return SqlError(errcode.INVALID_REGULAR_EXPRESSION, f"invalid regular expression: {reason}")


class Options:
    """Flags of a regular expression."""

    __slots__ = ("expanded", "extended", "global_match", "ignore_case", "newline_anchor", "newline_stop", "quote")

    def __init__(self) -> None:
        self.ignore_case = self.newline_stop = self.newline_anchor = self.expanded = self.quote = False
        self.global_match = False
        self.extended = True

    def set_flags(self, letters: str) -> None:
        """Apply the letters of a function's flags argument."""
        for letter in letters:
            if letter == "g":
                self.global_match = True
            elif not self.set_flag(letter):
                raise SqlError(
                    errcode.INVALID_PARAMETER_VALUE, f'invalid regular expression option: "{letter}"'
                )

    def set_flag(self, letter: str) -> bool:
        """Apply one letter; False when there is no such option."""
        match letter:
            case "i":
                self.ignore_case = True
            case "c":
                self.ignore_case = False
            case "n" | "m":
                self.newline_stop = self.newline_anchor = True
            case "p":
                self.newline_stop, self.newline_anchor = True, False
            case "w":
                self.newline_stop, self.newline_anchor = False, True
            case "s":
                self.newline_stop = self.newline_anchor = False
            case "x":
                self.expanded = True
            case "t":
                self.expanded = False
            case "q":
                self.quote = True
            case "b" | "e":
                self.extended = False
            case _:
                return False
        return True

    def key(self) -> tuple[bool, ...]:
        """What tells compiled expressions apart."""
        return (self.ignore_case, self.newline_stop, self.newline_anchor, self.expanded, self.quote)


class _Translator:
    """One pass over the expression."""

    def __init__(self, pattern: str, options: Options) -> None:
        self.text = pattern
        self.position = 0
        self.options = options
        self.groups = 0

    def translate(self) -> str:
        if self.text.startswith("***"):
            if self.text.startswith("***="):
                return re.escape(self.text[4:])
            if not self.text.startswith("***:"):
                raise regex_error("quantifier operand invalid")
            self.position = 4
        elif self.options.quote:
            return re.escape(self.text)
        embedded = re.match(r"\(\?([a-z]+)\)", self.text[self.position :])
        if embedded is not None:
            for letter in embedded[1]:
                if not self.options.set_flag(letter):
                    raise regex_error("invalid embedded option")
            self.position += embedded.end()
        result = self.alternatives(0)
        if self.position < len(self.text):
            raise regex_error("parentheses () not balanced")
        return result

    def peek(self) -> str:
        return self.text[self.position : self.position + 1]

    def alternatives(self, depth: int) -> str:
        branches: list[str] = []
        literals: list[str | None] = []
        while True:
            branch, literal = self.branch()
            branches.append(branch)
            literals.append(literal)
            if self.peek() != "|":
                break
            self.position += 1
        if self.peek() == ")" and depth == 0:
            raise regex_error("parentheses () not balanced")
        if len(branches) > 1 and None not in literals:
            order = sorted(range(len(branches)), key=lambda i: -len(literals[i] or ""))
            branches = [branches[i] for i in order]
        return "|".join(branches)

    def branch(self) -> tuple[str, str | None]:
        out: list[str] = []
        literal: str | None = ""
        while self.position < len(self.text):
            character = self.peek()
            if character in "|)":
                break
            if self.options.expanded and self.skip_expanded():
                continue
            atom, plain, quantifiable = self.atom()
            quantifier = self.quantifier()
            if quantifier and not quantifiable:
                raise regex_error("quantifier operand invalid")
            out.append(atom + quantifier)
            literal = literal + plain if literal is not None and plain is not None and not quantifier else None
        return "".join(out), literal

    def skip_expanded(self) -> bool:
        character = self.peek()
        if character.isspace():
            self.position += 1
            return True
        if character == "#":
            end = self.text.find("\n", self.position)
            self.position = len(self.text) if end < 0 else end + 1
            return True
        return False

    def quantifier(self) -> str:
        text = self.text
        if self.options.expanded:
            while self.position < len(text) and self.skip_expanded():
                pass
        character = self.peek()
        found = ""
        if character and character in "*+?":
            found = character
            self.position += 1
        elif character == "{" and text[self.position + 1 : self.position + 2].isdigit():
            match = re.compile(r"\{(\d+)(,(\d*))?\}").match(text, self.position)
            if match is None:
                raise regex_error("braces {} not balanced" if "}" not in text[self.position :] else
                                  "invalid repetition count(s)")  # fmt: skip
            low = int(match[1])
            high = low if match[2] is None else int(match[3]) if match[3] else None
            if low > MAX_REPEAT or (high is not None and (high > MAX_REPEAT or low > high)):
                raise regex_error("invalid repetition count(s)")
            found = match[0]
            self.position = match.end()
        if not found:
            return ""
        if self.peek() == "?":
            found += "?"
            self.position += 1
        following = self.peek()
        if (following and following in "*+?") or (
            following == "{" and text[self.position + 1 : self.position + 2].isdigit()
        ):
            raise regex_error("quantifier operand invalid")
        return found

    def atom(self) -> tuple[str, str | None, bool]:
        """Translation, the plain string it stands for (or None), and whether a quantifier may follow."""
        character = self.peek()
        self.position += 1
        match character:
            case "(":
                return self.group()
            case "[":
                if self.text.startswith("[:<:]]", self.position):
                    self.position += 6
                    return r"\b(?=\w)", None, False
                if self.text.startswith("[:>:]]", self.position):
                    self.position += 6
                    return r"\b(?<=\w)", None, False
                return self.bracket(), None, True
            case ".":
                return ("[^\\n]" if self.options.newline_stop else "[\\s\\S]"), None, True
            case "^":
                return ("(?:^|(?<=\\n))" if self.options.newline_anchor else "\\A"), None, False
            case "$":
                return ("(?=\\n|\\Z)" if self.options.newline_anchor else "\\Z"), None, False
            case "\\":
                return self.escape()
            case "*" | "+" | "?":
                raise regex_error("quantifier operand invalid")
            case "{":
                if self.peek().isdigit():
                    raise regex_error("quantifier operand invalid")
        return re.escape(character), character, True

    def group(self) -> tuple[str, str | None, bool]:
        prefix, constraint = "(", False
        if self.peek() == "?":
            for opening in ("?:", "?=", "?!", "?<=", "?<!"):
                if self.text.startswith(opening, self.position):
                    prefix, constraint = "(" + opening, opening != "?:"
                    self.position += len(opening)
                    break
            else:
                if self.text.startswith("?#", self.position):
                    end = self.text.find(")", self.position)
                    if end < 0:
                        raise regex_error("parentheses () not balanced")
                    self.position = end + 1
                    return "", "", False
                raise regex_error("quantifier operand invalid")
        else:
            self.groups += 1
        inner = self.alternatives(1)
        if self.peek() != ")":
            raise regex_error("parentheses () not balanced")
        self.position += 1
        return prefix + inner + ")", None, not constraint

    def escape(self) -> tuple[str, str | None, bool]:
        if self.position >= len(self.text):
            raise regex_error("invalid escape \\ sequence")
        character = self.peek()
        self.position += 1
        if not character.isalnum():
            return re.escape(character), character, True
        match character:
            case "d" | "D" | "s" | "S" | "w" | "W":
                return "\\" + character, None, True
            case "A" | "Z":
                return "\\" + character, None, False
            case "m":
                return r"\b(?=\w)", None, False
            case "M":
                return r"\b(?<=\w)", None, False
            case "y":
                return r"\b", None, False
            case "Y":
                return r"(?:\B|(?!\w)(?<!\w))", None, False
        if character in "123456789":
            start = self.position - 1
            end = self.position
            while end < len(self.text) and self.text[end].isdigit():
                end += 1
            number = int(self.text[start:end])
            if end - start == 1 or number <= self.groups:
                if number > self.groups:
                    raise regex_error("invalid backreference number")
                self.position = end
                return f"(?:\\{number})", None, True
        plain = self.character_escape(character)
        return re.escape(plain), plain, True

    def character_escape(self, letter: str) -> str:
        """The character that a backslash and what follows stand for."""
        if letter in _SIMPLE_ESCAPES:
            return _SIMPLE_ESCAPES[letter]
        if letter == "c":
            if not self.peek():
                raise regex_error("invalid escape \\ sequence")
            self.position += 1
            return chr(ord(self.text[self.position - 1]) & 0x1F)
        for kind, digits in (("u", 4), ("U", 8)):
            if letter == kind:
                body = self.text[self.position : self.position + digits]
                if len(body) < digits or not _is_hex(body) or int(body, 16) > 0x10FFFF:
                    raise regex_error("invalid escape \\ sequence")
                self.position += digits
                return chr(int(body, 16))
        if letter == "x":
            end = self.position
            while end < len(self.text) and _is_hex(self.text[end]) and end - self.position < 255:
                end += 1
            if end == self.position or int(self.text[self.position : end], 16) > 0x10FFFF:
                raise regex_error("invalid escape \\ sequence")
            value = chr(int(self.text[self.position : end], 16))
            self.position = end
            return value
        if letter in "01234567":
            start = self.position - 1
            end = self.position
            while end < len(self.text) and self.text[end] in "01234567" and end - start < 3:
                end += 1
            self.position = end
            return chr(int(self.text[start:end], 8))
        raise regex_error("invalid escape \\ sequence")

    def bracket(self) -> str:
        negated = self.peek() == "^"
        if negated:
            self.position += 1
        items: list[str] = []
        alternatives: list[str] = []
        first = True
        while True:
            character = self.peek()
            if not character:
                raise regex_error("brackets [] not balanced")
            if character == "]" and not first:
                self.position += 1
                break
            first = False
            start = self.bracket_item(items, alternatives)
            if start is None:
                continue
            if self.peek() == "-" and self.text[self.position + 1 : self.position + 2] not in ("]", ""):
                self.position += 1
                end = self.bracket_item(items, alternatives)
                if end is None or end < start:
                    raise regex_error("invalid character range")
                items.append(f"{_in_set(start)}-{_in_set(end)}")
            else:
                items.append(_in_set(start))
        return self.assemble(negated, items, alternatives)

    def assemble(self, negated: bool, items: list[str], alternatives: list[str]) -> str:
        body = "".join(items)
        choices = [f"[{body}]"] if body else []
        choices += alternatives
        if not negated:
            return choices[0] if len(choices) == 1 else "(?:" + "|".join(choices) + ")"
        newline = "\\n" if self.options.newline_stop else ""
        if not alternatives:
            return f"[^{body}{newline}]"
        return "(?:(?!" + "|".join(choices) + ")" + ("[^\\n]" if newline else "[\\s\\S]") + ")"

    def bracket_item(self, items: list[str], alternatives: list[str]) -> str | None:
        """One character, or None after adding a class."""
        text = self.text
        character = self.peek()
        self.position += 1
        if character == "[" and self.peek() in (":", ".", "=") and self.peek():
            kind = self.peek()
            end = text.find(kind + "]", self.position + 1)
            if end < 0:
                raise regex_error("brackets [] not balanced")
            name = text[self.position + 1 : end]
            self.position = end + 2
            if kind == ":":
                self.add_class(name, items, alternatives)
                return None
            if len(name) != 1 and name not in _NAMED:
                raise regex_error("invalid collating element")
            return _NAMED.get(name, name)
        if character == "\\":
            letter = self.peek()
            if not letter:
                raise regex_error("invalid escape \\ sequence")
            self.position += 1
            if letter in "dswDSW":
                items.append("\\" + letter)
                return None
            return self.character_escape(letter) if letter.isalnum() else letter
        return character

    def add_class(self, name: str, items: list[str], alternatives: list[str]) -> None:
        if name not in _CLASSES:
            raise regex_error("invalid character class")
        known = _CLASSES[name]
        if known is None:
            if self.options.ignore_case and name in ("upper", "lower"):
                alternatives.append(r"[^\W\d_]")
            else:
                items.append(_unicode_class(name))
        elif known.startswith("^"):
            alternatives.append(f"[{known}]")
        else:
            items.append(known)


_unicode_classes: dict[str, str] = {}


def _unicode_class(name: str) -> str:
    """Ranges of the characters of a class that `re` has no escape for."""
    found = _unicode_classes.get(name)
    if found is None:
        tests: dict[str, Callable[[str], bool]] = {
            "upper": str.isupper,
            "lower": str.islower,
            "print": str.isprintable,
            "graph": lambda c: c.isprintable() and not c.isspace(),
        }
        test = tests[name]
        parts: list[str] = []
        start = None
        for code in range(0x10000):
            inside = test(chr(code))
            if inside and start is None:
                start = code
            elif not inside and start is not None:
                parts.append(_range(start, code - 1))
                start = None
        found = _unicode_classes[name] = "".join(parts)
    return found


def _range(first: int, last: int) -> str:
    return _in_set(chr(first)) if first == last else f"{_in_set(chr(first))}-{_in_set(chr(last))}"


def _is_hex(text: str) -> bool:
    return bool(text) and all(c in "0123456789abcdefABCDEF" for c in text)


def _in_set(character: str) -> str:
    return "\\" + character if character in "\\]^-[&~|" else character


_cache: dict[tuple[object, ...], re.Pattern[str]] = {}
_MAX_CACHED = 256


def compile_regex(pattern: str, options: Options) -> re.Pattern[str]:
    """The compiled expression; 2201B when it is none."""
    key = (pattern, *options.key())
    compiled = _cache.get(key)
    if compiled is None:
        source = _Translator(pattern, options).translate()
        try:
            compiled = re.compile(source, re.IGNORECASE if options.ignore_case else 0)
        except (re.error, OverflowError, RecursionError) as error:
            raise _reason(error) from error
        if len(_cache) >= _MAX_CACHED:
            _cache.clear()
        _cache[key] = compiled
    return compiled


def _reason(error: Exception) -> SqlError:
    if isinstance(error, RecursionError):
        return regex_error("regular expression is too complex")
    if "look-behind" in str(error):
        return SqlError(
            errcode.FEATURE_NOT_SUPPORTED, "variable-width lookbehind in regular expressions is not supported yet"
        )
    return regex_error("invalid regexp (reg version 0.8)" if not str(error) else str(error))
