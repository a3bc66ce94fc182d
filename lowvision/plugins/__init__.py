"""Define what plugins provide and find it: contracts, hooks, registry."""
