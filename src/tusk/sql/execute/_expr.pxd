# cython: language_level=3
"""The expressions that are compiled to native code."""

from libc.stdint cimport int64_t, uint16_t, uint64_t
from tusk.sql.execute._state cimport Expr, ExprContext, ParamSlot
from tusk.types._kernel cimport KERNEL_MAX_ARGS, Kernel, KernelCall, Vector

cdef class VarExpr(Expr):
    cdef readonly int side
    cdef readonly int column

cdef class ConstExpr(Expr):
    cdef object context                 # keeps a by-reference value
    cdef int filled
    cdef readonly object value

cdef class ParamExpr(Expr):
    cdef ParamSlot slot
    cdef uint64_t version
    cdef int filled

cdef class Placeholder(Expr):           # what a CaseTestExpr or CoerceToDomainValue stands for
    cdef Vector *source

cdef class CallExpr(Expr):
    """A function computed by its scalar definition in Python."""
    cdef readonly object function
    cdef readonly object call_context
    cdef readonly list args
    cdef readonly bint strict
    cdef Vector *apply(self, Vector **args, ExprContext ctx, const uint16_t *sel, int n, Vector *out) except NULL

cdef class KernelExpr(Expr):
    cdef readonly Kernel kernel
    cdef readonly CallExpr fallback
    cdef Expr arg0
    cdef Expr arg1
    cdef list args
    cdef readonly int nargs
    cdef Vector plain[KERNEL_MAX_ARGS]      # detoasted arguments
    cdef bint varlena[KERNEL_MAX_ARGS]
    cdef Vector *detoasted(self, int a, Vector *v, ExprContext ctx, const uint16_t *sel, int n) except NULL
