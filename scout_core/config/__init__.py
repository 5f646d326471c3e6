"""Every option declared once, the layers it can be set in, and where each value came from."""
