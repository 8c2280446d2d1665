# The gates in front of the tests.
.PHONY: lint
