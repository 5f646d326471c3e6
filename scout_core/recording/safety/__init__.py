"""Containment: the application never sees a fault that happens in the agent."""
