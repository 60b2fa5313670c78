"""Stored trees and objects as SQL text."""
