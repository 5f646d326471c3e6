"""Between the core and plugins: finding and loading them, guarding their functions, wrapping their targets."""
