"""Rewriting of analysed queries: views and rules."""
def rewrite(query): return [query]
