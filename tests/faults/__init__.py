"""Distributions that are wrong in one way each, and the environment that they are installed into."""
