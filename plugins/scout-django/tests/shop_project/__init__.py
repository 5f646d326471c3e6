"""A Django project: a shop with articles and orders."""
