"""A package, so that a file here may be called like one beside this folder."""
