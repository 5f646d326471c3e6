"""The four policies that choose traces when nobody says otherwise; one module each, to be read as examples."""
