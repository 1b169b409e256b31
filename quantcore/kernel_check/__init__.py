"""Checking kernels in C: cases, the process they run in, the search, what a failure means."""
