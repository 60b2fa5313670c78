"""Taking the literals out of a query's text, so that texts of one shape share a plan.

The rules are those of `statement_cache`, which makes the plans: only literals that stand where a parameter means the same
are taken, and a text with anything that is not plainly understood does not qualify.
"""

from libc.string cimport memcpy
cdef extern from "<strings.h>" nogil:
    int strncasecmp(const char *a, const char *b, size_t n)

cdef enum:
    INT8OID = 20
    INT4OID = 23
    NUMERICOID = 1700
    MAX_DIGITS = 18             # of an integer that certainly fits


cdef inline bint is_digit(char c) noexcept nogil:
    return c'0' <= c <= c'9'


cdef inline bint is_space(char c) noexcept nogil:
    return c == c' ' or c == c'\t' or c == c'\n' or c == c'\r'


cdef inline bint is_word(char c) noexcept nogil:
    """Part of a name or number; so is every byte of a character beyond ASCII."""
    return c'a' <= c <= c'z' or c'A' <= c <= c'Z' or c'0' <= c <= c'9' or c == c'_' or <unsigned char> c >= 0x80


cdef bint has_word(const char *sql, size_t length, const char *word, size_t size) noexcept nogil:
    """Whether a word stands anywhere, in quotes or not."""
    cdef size_t i = 0
    while i < length:
        if is_word(sql[i]):
            if i + size <= length and strncasecmp(sql + i, word, size) == 0 and \
                    (i + size == length or not is_word(sql[i + size])):
                return True
            while i < length and is_word(sql[i]):
                i += 1
        else:
            i += 1
    return False


cdef inline bint is_operator(char c) noexcept nogil:
    return c == c'=' or c == c'<' or c == c'>' or c == c'+' or c == c'-' or c == c'*' or c == c'/' or c == c'%'


cdef class Normalizer:
    """The result of one text; used again for the next."""

    cdef bint run(self, const char *sql, size_t length) noexcept nogil:
        cdef size_t i = 0, start, used = 0, filled = 0, whole
        cdef char c, before, prior
        cdef bint lists = False, fraction, taken
        cdef int n = 0
        cdef Literal *literal
        self.nliterals = 0
        self.size = 0
        if length > MAX_TEXT:
            return False
        while i < length and is_space(sql[i]):
            i += 1
        start = i
        while i < length and is_word(sql[i]):
            i += 1
        if i - start == 6 and strncasecmp(sql + start, b"insert", 6) == 0:
            lists = has_word(sql, length, b"values", 6) and not has_word(sql, length, b"select", 6)
        elif not (i - start == 6 and (strncasecmp(sql + start, b"select", 6) == 0
                                      or strncasecmp(sql + start, b"update", 6) == 0
                                      or strncasecmp(sql + start, b"delete", 6) == 0)):
            return False
        elif has_word(sql, length, b"values", 6):
            return False
        i = 0
        before = 0                      # the last character that is no blank
        prior = 0                       # the last character
        while i < length:
            c = sql[i]
            if c == c'"' or c == c'$' or c == c'\\' or c == 0:
                return False
            if c == c'-' and prior == c'-' or c == c'*' and prior == c'/':
                return False            # a comment
            if c == c';':
                i += 1
                self.text[used] = c
                used += 1
                while i < length:
                    if not is_space(sql[i]):
                        return False    # several statements
                    self.text[used] = sql[i]
                    used += 1
                    i += 1
                break
            taken = False
            start = i
            if c == c'\'':
                if is_word(prior) or prior == c'&' or prior == c'\'' or before == c'\'':
                    return False        # a prefix, or a literal in pieces
                if n == MAX_LITERALS:
                    return False
                literal = &self.literals[n]
                literal.type = 0
                literal.data = self.scratch + filled
                i += 1
                while True:
                    if i >= length:
                        return False
                    c = sql[i]
                    if c == c'"' or c == c'$' or c == c'\\' or c == 0:
                        return False
                    if c == c'\'':
                        if i + 1 < length and sql[i + 1] == c'\'':
                            i += 1
                        else:
                            break
                    self.scratch[filled] = c
                    filled += 1
                    i += 1
                i += 1
                literal.length = <int32_t> (self.scratch + filled - literal.data)
                taken = is_operator(before) or (lists and (before == c'(' or before == c','))
                c = c'\''
            elif is_digit(c) and not is_word(prior) and prior != c'.':
                while i < length and is_digit(sql[i]):
                    i += 1
                whole = i - start
                fraction = False
                if i + 1 < length and sql[i] == c'.' and is_digit(sql[i + 1]):
                    fraction = True
                    i += 1
                    while i < length and is_digit(sql[i]):
                        i += 1
                if i < length and (is_word(sql[i]) or sql[i] == c'.'):
                    return False        # 1e5, 0x1f, 1_000, 1..2
                if n == MAX_LITERALS or whole > MAX_DIGITS:
                    return False
                literal = &self.literals[n]
                literal.data = sql + start
                literal.length = <int32_t> (i - start)
                taken = is_operator(before) or (lists and (before == c'(' or before == c','))
                if fraction:
                    literal.type = NUMERICOID
                elif fits_int4(sql + start, whole):
                    literal.type = INT4OID
                else:
                    literal.type = INT8OID
                    # -2147483648 is an integer, and its negative number alone is not.
                    taken = taken and before != c'-'
                c = sql[i - 1]
            else:
                i += 1
            if taken:
                n += 1
                self.text[used] = c'$'
                used += 1
                if n > 9:
                    self.text[used] = <char> (c'0' + n // 10)
                    used += 1
                self.text[used] = <char> (c'0' + n % 10)
                used += 1
            else:
                memcpy(self.text + used, sql + start, i - start)
                used += i - start
            prior = c
            if not is_space(c):
                before = c
        self.size = used
        self.nliterals = n
        return True

    cdef bytes key(self):
        cdef int i
        for i in range(self.nliterals):
            memcpy(self.text + self.size + 4 * i, &self.literals[i].type, 4)
        return (<const char *> self.text)[:self.size + 4 * self.nliterals]


cdef inline bint fits_int4(const char *digits, size_t n) noexcept nogil:
    cdef size_t i
    cdef long long value = 0
    for i in range(n):
        value = value * 10 + (digits[i] - c'0')
    return value <= 0x7FFFFFFF


def normalize(bytes sql):
    """(text, [(type, literal)]), or None for a text that does not qualify; for tests."""
    cdef Normalizer work = Normalizer()
    cdef int i
    if not work.run(sql, len(sql)):
        return None
    return (<const char *> work.text)[:work.size], [
        (work.literals[i].type, work.literals[i].data[:work.literals[i].length]) for i in range(work.nliterals)]
