"""The folder that ``scout-core run`` puts on ``PYTHONPATH``; it holds a ``sitecustomize`` and nothing else."""
