"""The folder that ``scout-core run`` puts on ``PYTHONPATH``; it contains only a ``sitecustomize``."""
