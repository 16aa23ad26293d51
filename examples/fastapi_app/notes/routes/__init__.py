"""One module a concern; main.py puts them together."""
