"""Fictile's speed beside diffusers': the same weights, the same threads, in one run."""
