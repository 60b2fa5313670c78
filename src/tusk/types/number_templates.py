"""to_char for numbers, and to_number.

A template is read into nodes once; output walks the nodes with the digits of the rounded number. The rules (blank
padding before the first digit, where the sign goes, what FM drops) are those of the manual's "Template Patterns for
Numeric Formatting".
"""

from decimal import ROUND_HALF_UP, Context, Decimal

from tusk.errors import SqlError, errcode
from tusk.types.numeric import divide, multiply, negate
from tusk.types.numeric_format import numeric_text, parse_numeric, rescale
from tusk.types.registry import function

_KEYWORDS = ("EEEE", "FM", "MI", "PL", "PR", "RN", "SG", "SP", "TH", "B", "C", "D", "G", "L", "S", "V", "0", "9",
             ".", ",")  # fmt: skip
_ROMAN = ((1000, "M"), (900, "CM"), (500, "D"), (400, "CD"), (100, "C"), (90, "XC"), (50, "L"), (40, "XL"), (10, "X"),
          (9, "IX"), (5, "V"), (4, "IV"), (1, "I"))  # fmt: skip
MAX_ROMAN = 15


def _syntax(message: str) -> SqlError:
    return SqlError(errcode.SYNTAX_ERROR, message)


class Template:
    """A parsed numeric template."""

    def __init__(self, text: str) -> None:
        self.nodes: list[tuple[str, str]] = []  # (keyword, text); keyword "" is literal text
        self.pre = self.post = self.multi = 0
        self.zero_start = self.zero_end = 0
        self.fill = self.decimal = self.bracket = self.minus = self.plus = self.roman = False
        self.scientific = self.zero = self.blank = False
        self.sign = ""  # "pre" or "post"
        self.pre_at_sign = 0
        self.parse(text)
        if self.sign and self.pre == self.pre_at_sign:
            # No digit before the point follows the S: the sign goes behind the number.
            self.sign = "post"

    def parse(self, text: str) -> None:
        position = 0
        while position < len(text):
            if text[position] == '"':
                position += 1
                while position < len(text) and text[position] != '"':
                    if text[position] == "\\" and position + 1 < len(text):
                        position += 1
                    self.nodes.append(("", text[position]))
                    position += 1
                position += 1
                continue
            if text[position] == "\\" and text[position + 1 : position + 2] == '"':
                position += 1
                self.nodes.append(("", '"'))
                position += 1
                continue
            upper = text[position : position + 4].upper()
            keyword = next((k for k in _KEYWORDS if upper.startswith(k)), "")
            if keyword:
                written = text[position : position + len(keyword)]
                self.add(keyword)
                self.nodes.append((keyword, written))
                position += len(keyword)
            else:
                self.nodes.append(("", text[position]))
                position += 1

    def add(self, keyword: str) -> None:
        if self.scientific:
            raise _syntax('"EEEE" must be the last pattern used')
        match keyword:
            case "9":
                if self.bracket:
                    raise _syntax('"9" must be ahead of "PR"')
                self.digit()
            case "0":
                if self.bracket:
                    raise _syntax('"0" must be ahead of "PR"')
                if not self.zero and not self.decimal:
                    self.zero, self.zero_start = True, self.pre + 1
                self.digit()
                self.zero_end = self.pre + self.post
            case "B":
                if not self.pre and not self.post and not self.zero:
                    self.blank = True
            case "D" | ".":
                if self.decimal:
                    raise _syntax("multiple decimal points")
                if self.multi:
                    raise _syntax('cannot use "V" and decimal point together')
                self.decimal = True
            case "FM":
                self.fill = True
            case "S":
                if self.sign:
                    raise _syntax('cannot use "S" twice')
                if self.plus or self.minus or self.bracket:
                    raise _syntax('cannot use "S" and "PL"/"MI"/"SG"/"PR" together')
                self.sign, self.pre_at_sign = "pre", self.pre
            case "MI" | "PL" | "SG":
                if self.sign:
                    raise _syntax(f'cannot use "S" and "{keyword}" together')
                self.minus = self.minus or keyword in ("MI", "SG")
                self.plus = self.plus or keyword in ("PL", "SG")
            case "PR":
                if self.sign or self.plus or self.minus:
                    raise _syntax('cannot use "PR" and "S"/"PL"/"MI"/"SG" together')
                self.bracket = True
            case "RN":
                self.roman = True
            case "V":
                if self.decimal:
                    raise _syntax('cannot use "V" and decimal point together')
                self.multi = -1 if self.multi == 0 else self.multi
            case "EEEE":
                if self.fill or self.sign or self.bracket or self.minus or self.plus or self.roman or self.multi:
                    raise SqlError(
                        errcode.SYNTAX_ERROR,
                        '"EEEE" is incompatible with other formats',
                        detail='"EEEE" may only be used together with digit and decimal point patterns.',
                    )
                self.scientific = True

    def digit(self) -> None:
        if self.multi:
            self.multi = 1 if self.multi < 0 else self.multi + 1
        elif self.decimal:
            self.post += 1
        else:
            self.pre += 1


_templates: dict[str, Template] = {}


def template(text: str) -> Template:
    """The template, parsed or from the cache."""
    found = _templates.get(text)
    if found is None:
        if len(_templates) > 50:
            _templates.clear()
        found = _templates[text] = Template(text)
    return found


def ordinal(digits: str, upper: bool) -> str:
    """TH, ST, ND or RD for a number."""
    if len(digits) > 1 and digits[-2] == "1":
        suffix = "th"
    else:
        suffix = {"1": "st", "2": "nd", "3": "rd"}.get(digits[-1:], "th")
    return suffix.upper() if upper else suffix


class _Writer:
    """Walks the nodes of a template over a number's digits."""

    def __init__(self, t: Template, number: str, negative: bool, post: int) -> None:
        self.t = t
        self.post = post
        self.negative = negative
        self.out: list[str] = []
        whole, _, fraction = number.partition(".")
        self.pre = t.pre + max(t.multi, 0)
        if len(whole) > self.pre:
            whole, fraction = "#" * self.pre, "#" * t.post
        self.overflow = whole[:1] == "#" or (not self.pre and number[:1] not in ("0", ""))
        self.number = whole + (
            ("." + fraction) if t.decimal and (t.post or self.overflow) and whole[:1] not in ("N", "I") else ""
        )
        self.spaces = self.pre - len(whole)
        self.position = 0  # digit positions of the template passed so far
        self.index = 0  # next character of number
        self.sign_written = t.minus  # MI and SG write it themselves
        self.started = False
        self.last = self.last_relevant()
        self.zero_start = t.zero_start - 1 if t.zero else 1 << 30
        self.closed = False

    def last_relevant(self) -> int | None:
        """With FM: where the digits that must be shown end (index of the last one, or of the point)."""
        if not self.t.fill or not self.t.decimal or "." not in self.number or self.overflow:
            return None
        stripped = len(self.number.rstrip("0")) - 1
        # Digits that a 0 of the template stands for are kept.
        kept = self.t.zero_end - self.spaces
        if self.t.zero_end > self.pre and kept > stripped:
            stripped = min(kept, len(self.number) - 1)
        return stripped

    def before_point_blank(self) -> bool:
        """Is the next digit the lone zero before a decimal point, which is not shown?"""
        return not self.t.zero and self.index == 0 and self.number[:1] == "0" and self.post != 0

    def write_sign(self) -> None:
        if self.sign_written:
            return
        at_number = self.position >= self.spaces or (self.t.zero and self.zero_start <= self.position)
        if not at_number:
            return
        if self.before_point_blank() and not (self.last is not None and self.number[self.last] == "."):
            return
        if self.t.sign:
            if self.t.sign == "pre":
                self.out.append("-" if self.negative else "+")
                self.sign_written = True
        elif self.t.bracket:
            self.out.append("<" if self.negative else ("" if self.t.fill else " "))
            self.sign_written = True
        elif not self.negative:
            if not self.t.fill:
                self.out.append(" ")
            self.sign_written = True
        else:
            self.out.append("-")
            self.sign_written = True

    def digit(self, keyword: str) -> None:
        self.write_sign()
        if self.position < self.spaces and not (self.t.zero and self.zero_start <= self.position):
            if not self.t.fill:
                self.out.append(" ")
        elif self.position < self.spaces:
            self.out.append("0")
            self.started = True
        else:
            self.number_digit(keyword)
        self.position += 1
        self.finish()

    def number_digit(self, keyword: str) -> None:
        if self.last is not None and self.index > self.last and keyword != "0":
            pass
        elif self.before_point_blank():
            if not self.t.fill:
                self.out.append(" ")
            elif self.last is not None and self.number[self.last] == ".":
                self.out.append("0")
        elif self.index < len(self.number):
            self.out.append(self.number[self.index])
            self.started = True
        self.index += 1

    def point(self) -> None:
        self.write_sign()
        if self.number[:1] in ("N", "I") or (not self.t.post and not self.overflow):
            # NaN and Infinity have no decimal point, and one without digits behind it is not shown.
            return
        if self.last is None or self.number[self.last] != "." or self.t.fill:
            self.out.append(".")
        if self.index < len(self.number) and self.number[self.index] == ".":
            self.index += 1
        self.finish()

    def finish(self) -> None:
        """After the last digit: the closing sign."""
        if self.position < self.pre + self.post or (not self.t.decimal and self.position < self.pre):
            done = self.last is not None and self.index > self.last and self.position >= self.pre
            if not done:
                return
        if self.t.bracket and self.sign_written and not self.closed:
            self.out.append(">" if self.negative else ("" if self.t.fill else " "))
            self.closed = True
        elif self.t.sign == "post" and not self.sign_written:
            self.out.append("-" if self.negative else "+")
            self.sign_written = True

    def group(self) -> None:
        if self.started:
            self.out.append(",")
        elif not self.t.fill:
            self.out.append(" ")

    def run(self) -> str:
        for keyword, text in self.t.nodes:
            match keyword:
                case "":
                    self.out.append(text)
                case "9" | "0":
                    self.digit(keyword)
                case "D" | ".":
                    self.point()
                case "," | "G":
                    self.group()
                case "MI":
                    self.out.append("-" if self.negative else "" if self.t.fill else " ")
                case "PL":
                    self.out.append("+" if not self.negative else "" if self.t.fill else " ")
                case "SG":
                    self.out.append("-" if self.negative else "+")
                case "L":
                    self.out.append("" if self.t.fill else " ")
                case "TH":
                    if not (self.overflow or self.negative or self.t.decimal):
                        self.out.append(ordinal(self.number, text == "TH"))
        return "".join(self.out)


def _roman(number: int, t: Template) -> str:
    lower = any(k == "RN" and text == "rn" for k, text in t.nodes)
    if not 0 < number < 4000:
        text = "#" * MAX_ROMAN
    else:
        text = ""
        for value, letters in _ROMAN:
            text += letters * (number // value)
            number %= value
    shown = text.lower() if lower else text
    if not t.fill:
        shown = shown.rjust(MAX_ROMAN)
    return "".join(shown if k == "RN" else text if k == "" else "" for k, text in t.nodes)


def _scientific(value: Decimal, t: Template) -> str:
    if not value.is_finite():
        return " " + "#" * t.pre + ("." + "#" * t.post if t.post else "") + "####"
    rounded = Context(prec=t.post + 1, rounding=ROUND_HALF_UP).plus(value)
    mantissa, _, exponent = format(rounded, f".{t.post}e").partition("e")
    text = f"{mantissa}e{exponent[0]}{exponent[1:].rjust(2, '0')}"
    return text if text.startswith("-") else " " + text


def _number_text(value: Decimal, pattern: str, digits: int | None = None) -> str:
    """Format a number; ``digits`` is how many significant ones a float has."""
    t = template(pattern)
    if t.roman:
        number = int(rescale(value, 0)) if value.is_finite() else 0
        return _roman(number, t)
    if t.scientific:
        return _scientific(value, t)
    if not value.is_finite():
        negative = not value.is_nan() and value < 0
        return _Writer(t, str(abs(value)), negative, t.post).run()
    if t.multi > 0:
        value = multiply(value, Decimal(10**t.multi))
    post = t.post
    if digits is not None and value:
        # A float shows no more digits than its type has.
        whole_digits = max(value.adjusted() + 1, 1)
        post = max(0, min(post, digits - whole_digits)) if whole_digits < digits else 0
    rounded = rescale(value, post)
    negative = value < 0
    text = numeric_text(abs(rounded))
    return _Writer(t, text, negative, post).run()


@function("int4_to_char", "int8_to_char")
def _int_to_char(value: int, pattern: str) -> str:
    return _number_text(Decimal(value), pattern)


@function("numeric_to_char")
def _numeric_to_char(value: Decimal, pattern: str) -> str:
    return _number_text(value, pattern)


@function("float8_to_char")
def _float8_to_char(value: float, pattern: str) -> str:
    return _number_text(Decimal(value) if value == value else Decimal("NaN"), pattern, 15)


@function("float4_to_char")
def _float4_to_char(value: float, pattern: str) -> str:
    return _number_text(Decimal(value) if value == value else Decimal("NaN"), pattern, 6)


@function("numeric_to_number")
def _to_number(text: str, pattern: str) -> Decimal | None:
    t = template(pattern)
    if t.scientific:
        raise SqlError(errcode.FEATURE_NOT_SUPPORTED, '"EEEE" not supported for input')
    if t.roman:
        return Decimal(_from_roman(text))
    digits, negative = _read_number(text, t)
    if not any(c.isdigit() for c in digits):
        raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, 'invalid input syntax for type numeric: " "')
    value = parse_numeric(digits)
    if t.multi > 0:
        value = divide(value, Decimal(10**t.multi))
    return negate(value) if negative else value


def _read_number(text: str, t: Template) -> tuple[str, bool]:
    """Digits and sign that the template finds in the text."""
    position = 0
    out = ""
    negative = False
    seen_point = False

    def take_sign() -> None:
        nonlocal position, negative
        while position < len(text) and text[position] == " ":
            position += 1
        if position < len(text) and text[position] in "+-<":
            negative = negative or text[position] in "-<"
            position += 1

    for keyword, _ in t.nodes:
        if position >= len(text):
            break
        match keyword:
            case "9" | "0":
                if out in ("", "."):
                    take_sign()
                while position < len(text) and text[position] == " ":
                    position += 1
                if position < len(text) and text[position].isdigit() and text[position].isascii():
                    out += text[position]
                    position += 1
                elif position < len(text) and text[position] == "." and not seen_point and t.decimal:
                    out += "."
                    seen_point = True
                    position += 1
            case "D" | ".":
                if not out:
                    take_sign()
                if not seen_point and position < len(text) and text[position] == ".":
                    out += "."
                    seen_point = True
                    position += 1
            case "," | "G":
                if position < len(text) and text[position] == ",":
                    position += 1
            case "S" | "MI" | "SG" | "PL" | "PR":
                take_sign()
                if keyword == "PR" and position < len(text) and text[position] == ">":
                    position += 1
            case "L" | "":
                if not text[position].isdigit() and text[position] not in "+-.":
                    position += 1
            case "TH":
                position += 2
    if position < len(text) and text[position] == "-" and t.sign == "post":
        negative = True
    return out, negative


def _from_roman(text: str) -> int:
    word = text.strip().upper()
    values = {"I": 1, "V": 5, "X": 10, "L": 50, "C": 100, "D": 500, "M": 1000}
    total = 0
    for index, letter in enumerate(word):
        if letter not in values:
            total = 0
            break
        value = values[letter]
        following = values.get(word[index + 1 : index + 2], 0)
        total += -value if following > value else value
    check, number = "", total
    for value, letters in _ROMAN:
        check += letters * (number // value)
        number %= value
    if not word or check != word:
        raise SqlError(errcode.INVALID_TEXT_REPRESENTATION, "invalid Roman numeral")
    return total
