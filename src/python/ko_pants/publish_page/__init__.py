"""The page of one run of `publish`: plain values in, one HTML file out."""
