"""Presentation of the pages: links, colours, the waterfall and the templates."""
