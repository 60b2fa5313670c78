"""Checking a data directory that no server is running on: what ``tusk check`` does."""
