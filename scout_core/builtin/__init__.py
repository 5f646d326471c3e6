"""Our own behaviour as plugins. They use what any plugin can use, and any of them can be disabled by name."""
