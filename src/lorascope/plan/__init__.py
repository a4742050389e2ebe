"""Presets, ranks, budgets and counts, worked out for one model."""
