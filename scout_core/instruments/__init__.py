"""Modules that plugins share: middleware for web applications of any framework, the jobs of queues, and the ends of processes."""
