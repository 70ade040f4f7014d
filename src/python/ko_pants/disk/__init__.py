"""The files of the repo as the operating system shows them, with what Pants does not see."""
