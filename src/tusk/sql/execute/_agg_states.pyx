"""Native aggregate states: count, sum, avg, min, max, bool_and, bool_or; and states written in Python for the rest."""

from libc.stdlib cimport free, malloc, realloc
from libc.string cimport memcpy, memset
from tusk.access._varlena cimport varatt_needs_detoast
from tusk.sql.execute._keys cimport KEY_INT, Keys, KeyInfo, key_compare
from tusk.types._kernel_datum cimport (
    copy_datum, datum_float4, datum_float8, datum_length, datum_to_python, datum_type, detoast, float4_datum,
    float8_datum, python_to_datum)
from tusk.types._kernel_numeric cimport NUMERIC_ROOM, POWERS, int128, numeric_pack, numeric_unpack

from tusk.errors import SqlError, errcode
from tusk.sql.execute import _keys, support
from tusk.types.registry import lookup_function

cdef extern from "math.h":
    bint isinf(double x) noexcept nogil

cdef extern from *:
    bint add_overflow64 "__builtin_add_overflow"(int64_t a, int64_t b, int64_t *result) noexcept nogil
    bint add_overflow "__builtin_add_overflow"(int128 a, int128 b, int128 *result) noexcept nogil
    bint mul_overflow "__builtin_mul_overflow"(int128 a, int128 b, int128 *result) noexcept nogil


cdef class AggState:
    """Base: ``AggState(result_type)``."""

    def __init__(self, DatumType result_type):
        self.result_type = result_type
        self.context = MemoryContext("aggregate states")

    cdef int grow(self, int64_t ngroups) except -1:
        cdef int64_t room = self.room
        if ngroups > self.room:
            while room < ngroups:
                room = 16 if room == 0 else room * 2
            self.resize(room)
            self.room = room
        if ngroups > self.ngroups:
            self.ngroups = ngroups
        return 0

    cdef int resize(self, int64_t room) except -1:
        raise NotImplementedError

    cdef int update(self, const uint32_t *groups, const uint16_t *sel, int n, Vector **args) except -1:
        raise NotImplementedError

    cdef int result(self, int64_t group, Vector *out, int lane, MemoryContext context) except -1:
        raise NotImplementedError

    cdef int clear(self) except -1:
        self.ngroups = 0
        self.room = 0
        self.context.reset()
        return 0

    cdef size_t memory(self) noexcept:
        return self.room * 16 + self.context.total_bytes(False)


cdef void *regrow(void *old, int64_t old_room, int64_t room, size_t size) except NULL:
    """realloc with the new part zeroed."""
    cdef char *grown = <char *> realloc(old, room * size)
    if grown == NULL:
        raise MemoryError
    memset(grown + old_room * size, 0, (room - old_room) * size)
    return grown


cdef class CountState(AggState):
    """count(*) and count(x)."""

    cdef int64_t *counts
    cdef bint star

    def __init__(self, DatumType result_type, bint star):
        AggState.__init__(self, result_type)
        self.star = star

    def __dealloc__(self):
        free(self.counts)

    cdef int resize(self, int64_t room) except -1:
        self.counts = <int64_t *> regrow(self.counts, self.room, room, sizeof(int64_t))
        return 0

    cdef int clear(self) except -1:
        free(self.counts)
        self.counts = NULL
        return AggState.clear(self)

    cdef int update(self, const uint32_t *groups, const uint16_t *sel, int n, Vector **args) except -1:
        cdef int k
        cdef int64_t count = 0
        cdef const uint8_t *nulls
        if self.star:
            if groups == NULL:
                self.counts[0] += n
            else:
                for k in range(n):
                    self.counts[groups[k]] += 1
            return 0
        nulls = args[0].nulls
        if groups == NULL:
            for k in range(n):
                count += nulls[k if sel == NULL else sel[k]] == 0
            self.counts[0] += count
        else:
            for k in range(n):
                self.counts[groups[k]] += nulls[k if sel == NULL else sel[k]] == 0
        return 0

    cdef int result(self, int64_t group, Vector *out, int lane, MemoryContext context) except -1:
        out.values[lane] = <Datum> self.counts[group]
        out.nulls[lane] = 0
        return 0


cdef struct IntSum:
    int128 sum
    int64_t count


cdef class IntSumState(AggState):
    """sum and avg of int2, int4, int8. how: 0 sum as bigint, 1 sum as numeric, 2 avg as numeric."""

    cdef IntSum *sums
    cdef int how

    def __init__(self, DatumType result_type, int how):
        AggState.__init__(self, result_type)
        self.how = how

    def __dealloc__(self):
        free(self.sums)

    cdef int resize(self, int64_t room) except -1:
        self.sums = <IntSum *> regrow(self.sums, self.room, room, sizeof(IntSum))
        return 0

    cdef int clear(self) except -1:
        free(self.sums)
        self.sums = NULL
        return AggState.clear(self)

    cdef int update(self, const uint32_t *groups, const uint16_t *sel, int n, Vector **args) except -1:
        cdef int k, i
        cdef int64_t sum = 0, count = 0, value, total
        cdef const Datum *values = args[0].values
        cdef const uint8_t *nulls = args[0].nulls
        cdef IntSum *s
        if groups == NULL:
            for k in range(n):
                i = k if sel == NULL else sel[k]
                if nulls[i]:
                    continue
                value = <int64_t> values[i]
                if add_overflow64(sum, value, &total):
                    self.sums[0].sum += sum
                    sum = value
                else:
                    sum = total
                count += 1
            self.sums[0].sum += sum
            self.sums[0].count += count
            return 0
        for k in range(n):
            i = k if sel == NULL else sel[k]
            if not nulls[i]:
                s = &self.sums[groups[k]]
                s.sum += <int64_t> values[i]
                s.count += 1
        return 0

    cdef int result(self, int64_t group, Vector *out, int lane, MemoryContext context) except -1:
        cdef IntSum *s = &self.sums[group]
        cdef char *room
        out.nulls[lane] = s.count == 0
        if s.count == 0:
            return 0
        if self.how == 0:
            if s.sum > <int128> 0x7FFFFFFFFFFFFFFF or s.sum < -<int128> 0x7FFFFFFFFFFFFFFF - 1:
                raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "bigint out of range")
            out.values[lane] = <Datum> <int64_t> s.sum
        elif self.how == 1:
            room = <char *> context.alloc(NUMERIC_ROOM)
            numeric_pack(s.sum, 0, room)
            out.values[lane] = <Datum> room
        else:
            quotient = divide(int128_to_python(s.sum), 0, s.count)
            out.values[lane] = python_to_datum(quotient, self.result_type, context)
        return 0


cdef object int128_to_python(int128 value):
    cdef bint negative = value < 0
    cdef int128 v = -value if negative else value
    cdef unsigned long long low = <unsigned long long> v
    cdef unsigned long long high = <unsigned long long> (v >> 64)
    cdef object number = high
    number = (number << 64) | low
    return -number if negative else number


def divide(total, scale, count):
    """total * 10**-scale / count as numeric division gives it."""
    from_int = _make(total, scale)
    return _divide(from_int, _make(count, 0))


from tusk.types.numeric_format import make as _make  # noqa: E402

_numeric_div = None


def _divide(a, b):
    global _numeric_div
    if _numeric_div is None:
        _numeric_div = support.function_by_prosrc("numeric_div")
    return _numeric_div(a, b)


cdef struct FloatSum:
    double sum
    double squares
    double count


cdef class FloatSumState(AggState):
    """sum and avg of float4 and float8; kind 4 or 8; how: 0 sum, 2 avg (as float8)."""

    cdef FloatSum *sums
    cdef int kind, how

    def __init__(self, DatumType result_type, int kind, int how):
        AggState.__init__(self, result_type)
        self.kind = kind
        self.how = how

    def __dealloc__(self):
        free(self.sums)

    cdef int resize(self, int64_t room) except -1:
        self.sums = <FloatSum *> regrow(self.sums, self.room, room, sizeof(FloatSum))
        return 0

    cdef int clear(self) except -1:
        free(self.sums)
        self.sums = NULL
        return AggState.clear(self)

    cdef int update(self, const uint32_t *groups, const uint16_t *sel, int n, Vector **args) except -1:
        cdef int k, i
        cdef FloatSum *s = &self.sums[0]
        cdef double value, total
        for k in range(n):
            i = k if sel == NULL else sel[k]
            if args[0].nulls[i]:
                continue
            if groups != NULL:
                s = &self.sums[groups[k]]
            value = datum_float8(args[0].values[i]) if self.kind == 8 else <double> datum_float4(args[0].values[i])
            if self.kind == 4 and self.how == 0:
                total = <double> <float> (s.sum + value)        # float4pl rounds at each step
            else:
                total = s.sum + value
            if isinf(total) and not isinf(s.sum) and not isinf(value):
                raise SqlError(errcode.NUMERIC_VALUE_OUT_OF_RANGE, "value out of range: overflow")
            s.sum = total
            s.count += 1
        return 0

    cdef int result(self, int64_t group, Vector *out, int lane, MemoryContext context) except -1:
        cdef FloatSum *s = &self.sums[group]
        out.nulls[lane] = s.count == 0
        if s.count != 0:
            if self.how == 2:
                out.values[lane] = float8_datum(s.sum / s.count)
            elif self.kind == 4:
                out.values[lane] = float4_datum(<float> s.sum)
            else:
                out.values[lane] = float8_datum(s.sum)
        return 0


cdef struct NumericSum:
    int128 sum
    int64_t count
    int scale
    bint big


cdef class NumericSumState(AggState):
    """sum and avg of numeric in 128-bit integers; a group whose sum outgrows them goes on in Python."""

    cdef NumericSum *sums
    cdef bint is_avg
    cdef dict big                   # group -> Decimal
    cdef DatumType numeric
    cdef object add

    def __init__(self, DatumType result_type, bint is_avg):
        AggState.__init__(self, result_type)
        self.is_avg = is_avg
        self.big = {}
        self.numeric = datum_type(1700)

    def __dealloc__(self):
        free(self.sums)

    cdef int resize(self, int64_t room) except -1:
        self.sums = <NumericSum *> regrow(self.sums, self.room, room, sizeof(NumericSum))
        return 0

    cdef int clear(self) except -1:
        free(self.sums)
        self.sums = NULL
        self.big.clear()
        return AggState.clear(self)

    cdef int update(self, const uint32_t *groups, const uint16_t *sel, int n, Vector **args) except -1:
        cdef int k, i, scale
        cdef int64_t group = 0
        cdef NumericSum *s
        cdef int128 value, total
        cdef Datum datum
        cdef bint fits
        for k in range(n):
            i = k if sel == NULL else sel[k]
            if args[0].nulls[i]:
                continue
            if groups != NULL:
                group = groups[k]
            s = &self.sums[group]
            datum = args[0].values[i]
            if varatt_needs_detoast(<void *> datum):
                datum = detoast(datum, self.context)
            s.count += 1
            if not s.big:
                fits = numeric_unpack(datum, &value, &scale)
                if fits and scale > s.scale:
                    fits = not mul_overflow(s.sum, POWERS[scale - s.scale], &total)
                    if fits:
                        s.sum = total
                        s.scale = scale
                elif fits and scale < s.scale:
                    fits = not mul_overflow(value, POWERS[s.scale - scale], &total)
                    if fits:
                        value = total
                if fits and not add_overflow(s.sum, value, &total):
                    s.sum = total
                    continue
                s.big = True
                self.big[group] = _make(int128_to_python(s.sum), s.scale)
            if self.add is None:
                self.add = support.function_by_prosrc("numeric_add")
            self.big[group] = self.add(self.big[group], datum_to_python(datum, self.numeric))
        return 0

    cdef int result(self, int64_t group, Vector *out, int lane, MemoryContext context) except -1:
        cdef NumericSum *s = &self.sums[group]
        cdef char *room
        out.nulls[lane] = s.count == 0
        if s.count == 0:
            return 0
        if s.big:
            total = self.big[group]
        elif not self.is_avg and s.sum < POWERS[36] and -s.sum < POWERS[36] and s.scale <= 60:
            room = <char *> context.alloc(NUMERIC_ROOM)
            numeric_pack(s.sum, s.scale, room)
            out.values[lane] = <Datum> room
            return 0
        else:
            total = _make(int128_to_python(s.sum), s.scale)
        if self.is_avg:
            total = _divide(total, _make(s.count, 0))
        out.values[lane] = python_to_datum(total, self.result_type, context)
        return 0


cdef struct Extreme:
    Datum value
    size_t room                     # bytes of the by-reference copy
    bint set


cdef class ExtremeState(AggState):
    """min and max of anything with a btree comparison."""

    cdef Extreme *extremes
    cdef Keys keys
    cdef int sign                   # 1: max, -1: min
    cdef DatumType type

    def __init__(self, DatumType result_type, Keys keys, bint is_max, DatumType type):
        AggState.__init__(self, result_type)
        self.keys = keys
        self.sign = 1 if is_max else -1
        self.type = type

    def __dealloc__(self):
        free(self.extremes)

    cdef int resize(self, int64_t room) except -1:
        self.extremes = <Extreme *> regrow(self.extremes, self.room, room, sizeof(Extreme))
        return 0

    cdef int clear(self) except -1:
        free(self.extremes)
        self.extremes = NULL
        return AggState.clear(self)

    cdef int keep(self, Extreme *e, Datum value) except -1:
        cdef size_t size
        if self.type.typbyval:
            e.value = value
        else:
            if self.type.typlen == -1 and varatt_needs_detoast(<void *> value):
                value = detoast(value, self.context)
            size = datum_length(value, self.type.typlen)
            if size > e.room:
                e.room = size + size / 4 + 16
                e.value = <Datum> self.context.alloc(e.room)
            memcpy(<void *> e.value, <void *> value, size)
        e.set = True
        return 0

    cdef int update(self, const uint32_t *groups, const uint16_t *sel, int n, Vector **args) except -1:
        cdef int k, i, sign = self.sign, order
        cdef Extreme *e = &self.extremes[0]
        cdef const KeyInfo *key = &self.keys.keys[0]
        cdef Datum best
        cdef const Datum *values = args[0].values
        cdef const uint8_t *nulls = args[0].nulls
        cdef int candidate = -1
        if key.kind == KEY_INT:
            for k in range(n):
                i = k if sel == NULL else sel[k]
                if nulls[i]:
                    continue
                if groups != NULL:
                    e = &self.extremes[groups[k]]
                if not e.set:
                    e.set = True
                    e.value = values[i]
                elif sign > 0:
                    if <int64_t> values[i] > <int64_t> e.value:
                        e.value = values[i]
                elif <int64_t> values[i] < <int64_t> e.value:
                    e.value = values[i]
            return 0
        if groups == NULL:
            # The best of the batch first, so that one value is copied at most.
            for k in range(n):
                i = k if sel == NULL else sel[k]
                if nulls[i]:
                    continue
                if candidate < 0:
                    if not e.set:
                        candidate = i
                        continue
                    order = key_compare(key, values[i], e.value)
                else:
                    order = key_compare(key, values[i], values[candidate])
                if (order > 0) if sign > 0 else (order < 0):
                    candidate = i
            if candidate >= 0:
                self.keep(e, values[candidate])
            return 0
        for k in range(n):
            i = k if sel == NULL else sel[k]
            if nulls[i]:
                continue
            e = &self.extremes[groups[k]]
            if not e.set:
                self.keep(e, values[i])
                continue
            order = key_compare(key, values[i], e.value)
            if (order > 0) if sign > 0 else (order < 0):
                self.keep(e, values[i])
        return 0

    cdef int result(self, int64_t group, Vector *out, int lane, MemoryContext context) except -1:
        cdef Extreme *e = &self.extremes[group]
        out.nulls[lane] = not e.set
        out.values[lane] = e.value
        return 0


cdef class BoolState(AggState):
    """bool_and (every) and bool_or."""

    cdef uint8_t *flags             # bit 0: a value was seen; bit 1: the deciding value was
    cdef bint is_and

    def __init__(self, DatumType result_type, bint is_and):
        AggState.__init__(self, result_type)
        self.is_and = is_and

    def __dealloc__(self):
        free(self.flags)

    cdef int resize(self, int64_t room) except -1:
        self.flags = <uint8_t *> regrow(self.flags, self.room, room, 1)
        return 0

    cdef int clear(self) except -1:
        free(self.flags)
        self.flags = NULL
        return AggState.clear(self)

    cdef int update(self, const uint32_t *groups, const uint16_t *sel, int n, Vector **args) except -1:
        cdef int k, i
        cdef int64_t group = 0
        for k in range(n):
            i = k if sel == NULL else sel[k]
            if args[0].nulls[i]:
                continue
            if groups != NULL:
                group = groups[k]
            self.flags[group] |= 1
            if (args[0].values[i] != 0) != self.is_and:
                self.flags[group] |= 2
        return 0

    cdef int result(self, int64_t group, Vector *out, int lane, MemoryContext context) except -1:
        out.nulls[lane] = not self.flags[group] & 1
        out.values[lane] = (self.flags[group] & 2 != 0) != self.is_and
        return 0


cdef class PythonState(AggState):
    """States as Python objects: ``transition(state, *args)``, ``final(state, *args)``.

    A strict transition function skips rows with nulls, and without an initial value starts from the first argument.
    """

    cdef object transition, final, initial
    cdef bint strict, first_is_state
    cdef list states
    cdef list types                 # of the arguments
    cdef int nargs
    cdef object unset
    cdef int extra                  # null arguments for the final function
    cdef list direct                # values of direct arguments
    cdef bint final_strict

    def __init__(self, DatumType result_type, transition, final, initial, bint strict, list types, int extra,
                 bint final_strict):
        AggState.__init__(self, result_type)
        self.transition = transition
        self.final = final
        self.initial = initial
        self.strict = strict
        self.types = types
        self.nargs = len(types)
        self.states = []
        self.extra = extra
        self.unset = object()
        self.first_is_state = strict and initial is None
        self.direct = []
        self.final_strict = final_strict

    cdef int resize(self, int64_t room) except -1:
        cdef int64_t i
        start = self.unset if self.first_is_state else self.initial
        self.states.extend([start] * (room - len(self.states)))
        return 0

    cdef int clear(self) except -1:
        self.states = []
        return AggState.clear(self)

    cdef int update(self, const uint32_t *groups, const uint16_t *sel, int n, Vector **args) except -1:
        cdef int k, i, a
        cdef int64_t group = 0
        cdef bint skip
        for k in range(n):
            i = k if sel == NULL else sel[k]
            if groups != NULL:
                group = groups[k]
            skip = False
            values = []
            for a in range(self.nargs):
                if args[a].nulls[i]:
                    if self.strict:
                        skip = True
                        break
                    values.append(None)
                else:
                    values.append(datum_to_python(args[a].values[i], <DatumType> self.types[a]))
            if not skip:
                self.step(group, values)
        return 0

    def step(self, group, values):
        """One transition."""
        state = self.states[group]
        if self.strict:
            if state is self.unset:
                self.states[group] = values[0]
                return
            if state is None:
                return
        self.states[group] = self.transition(state, *values)

    cdef int result(self, int64_t group, Vector *out, int lane, MemoryContext context) except -1:
        state = self.states[group]
        if state is self.unset:
            state = None
        if self.final is not None:
            if self.final_strict and (state is None or None in self.direct):
                state = None
            else:
                state = self.final(state, *self.direct, *([None] * self.extra))
        out.nulls[lane] = state is None
        if state is not None:
            out.values[lane] = python_to_datum(state, self.result_type, context)
        return 0

    def set_direct(self, values):
        """The direct arguments of an ordered-set aggregate."""
        self.direct = values
