"""Between the core and plugins: finding them, loading them, guarding every call of theirs, wrapping what they name."""
