"""Options: each declared once, read from several layers, with the origin of its value."""
