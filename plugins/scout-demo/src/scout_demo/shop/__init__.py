"""The shop: an ordinary Flask application. Nothing in this folder knows of the agent."""
