"""Rewrite a trained adapter so that a serving engine loads it and computes the same with it."""
