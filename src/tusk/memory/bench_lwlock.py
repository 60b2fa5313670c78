"""Print nanoseconds of an uncontended LWLock and of a small allocation: ``python -m tusk.memory.bench_lwlock``."""

from types import SimpleNamespace

from tusk.memory import _context, _lwlock, _segment

if __name__ == "__main__":
    _segment.create_segment(SimpleNamespace(max_connections=10, shared_buffers=64))
    print(f"exclusive acquire and release  {min(_lwlock.bench(1_000_000) for _ in range(5)):6.1f} ns")
    print(f"shared acquire and release     {min(_lwlock.bench(1_000_000, False) for _ in range(5)):6.1f} ns")
    print(f"allocation of 32 bytes         {min(_context.bench(1_000_000, 32) for _ in range(5)):6.1f} ns")
