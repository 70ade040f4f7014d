"""What the plugin takes from Pants, and what the versions of Pants have: both read as syntax trees.

Nothing of Pants is imported, so one Python reads every version.
"""
