"""ko_pants: OCI images from Go programs, without Docker, inside Pants."""
