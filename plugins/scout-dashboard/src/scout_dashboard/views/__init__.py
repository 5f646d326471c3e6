"""What the pages need beside their data: links, colours, the waterfall, the templates."""
