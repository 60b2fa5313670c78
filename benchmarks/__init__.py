"""Tusk and PostgreSQL 18 side by side: ``python -m benchmarks`` prints a table of ratios."""
