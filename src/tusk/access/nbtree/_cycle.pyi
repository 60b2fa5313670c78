"""Cycle ids of running vacuums of b-trees."""
