"""The use cases that come with the package: declarations only, and nothing that runs them."""
