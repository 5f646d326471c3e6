"""The five policies that choose traces by default; one module each, to be read as examples."""
