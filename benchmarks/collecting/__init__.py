"""The benchmark of the collector: ``command.py`` runs it, ``README.md`` in the folder above explains it."""
