"""The docs as a site: hooks of mkdocs, and the check of addresses outside."""
