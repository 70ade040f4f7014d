"""Where images go and how they get there: destinations, what is missing, tags last. No Pants."""
