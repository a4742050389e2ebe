"""Frozen value types that every other part speaks in. Imports nothing of the rest."""
