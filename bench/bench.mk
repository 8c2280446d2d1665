# Speed and memory beside the peers; bench/README.md says how it measures.
.PHONY: bench
