# cython: language_level=3
"""One command id that stands for an inserting and a deleting command of the same transaction (access/combocid)."""

from tusk._types cimport CommandId

cdef CommandId get_combo_command_id(CommandId cmin, CommandId cmax) except? 0xffffffff
cdef CommandId get_real_cmin(CommandId combocid) noexcept nogil
cdef CommandId get_real_cmax(CommandId combocid) noexcept nogil
cdef int at_eoxact_combocid() noexcept nogil
