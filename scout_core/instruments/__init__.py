"""Middleware that records applications of any web framework, or of none: one class for each interface between server and application."""
