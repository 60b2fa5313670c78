"""Torture: kill any process of a server at any time under load, again and again; see __main__."""
