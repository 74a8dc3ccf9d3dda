"""The dashboard: a page that shows what is stored, and lets an operator act on it."""
