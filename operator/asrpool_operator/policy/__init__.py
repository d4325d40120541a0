"""Pure scaling rules and the `decide()` that composes them."""
