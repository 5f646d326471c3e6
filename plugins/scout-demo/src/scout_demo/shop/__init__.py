"""The shop: an ordinary Flask application. Nothing in this directory depends on the agent."""
