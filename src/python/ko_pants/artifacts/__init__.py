"""What goes to a registry beside an image: SBOMs, provenance, signatures."""
