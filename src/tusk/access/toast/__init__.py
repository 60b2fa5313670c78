"""Wide values: compression, storage in toast tables, and fetching them back (README.md)."""
