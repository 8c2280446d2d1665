# The test runner and what it builds; .ci/test says in which order.
.PHONY: unit-tests unit fuzz-replays fuzz-replay
unit-tests: $(UNIT_TESTS)
unit: $(UNIT_TESTS) ## build and run the unit and scenario tests of VARIANT
	@for t in $^; do echo "== $$t"; $$t || exit 1; done
fuzz-replays: $(FUZZ_REPLAYS)
fuzz-replay: $(FUZZ_REPLAYS) ## replay the fuzz corpora through the targets of VARIANT
	@for t in $^; do name=$$(basename $$t); room=$$(basename $$(dirname $$t)); \
		$$t userspace/$$room/fuzz/corpus/$${name#fuzz_}/*; done
