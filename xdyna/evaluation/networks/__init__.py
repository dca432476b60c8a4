"""The networks that published scores are defined by, at their published key layouts. Importing a file loads torch."""
