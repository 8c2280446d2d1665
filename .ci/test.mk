# The test runner and what it builds; .ci/test says which stages there are.
TEST_STAMP := build/.deps-test
DEMO_STAMP := build/.deps-demo
FUZZ_STAMP := build/.deps-fuzz
FUZZ_SECONDS ?= 60
FUZZ_TARGETS := $(wildcard userspace/*/fuzz/fuzz_*.c)

$(TEST_STAMP): .ci/packages.mk | $(DEPS_STAMP)
	@.ci/install-packages $(PACKAGES_TEST)
	@touch $@
$(DEMO_STAMP): .ci/packages.mk | $(DEPS_STAMP)
	@.ci/install-packages $(PACKAGES_DEMO)
	@touch $@

$(FUZZ_STAMP): .ci/packages.mk | $(DEPS_STAMP)
	@.ci/install-packages $(PACKAGES_FUZZ)
	@touch $@

.PHONY: test stress demo fuzz unit unit-tests fuzz-replays
test: | $(TEST_STAMP) ## build and run every test (STAGES='lint unit-asan …': only these)
	@.ci/test $(STAGES)

demo: all | $(DEMO_STAMP) ## five pods with real programs, meshed, in under a minute
	@$(if $(filter 0,$(shell id -u)),,sudo) integration-tests/demo

unit-tests: $(UNIT_TESTS)
fuzz-replays: $(FUZZ_REPLAYS)
unit: $(UNIT_TESTS) ## build and run the unit and scenario tests of VARIANT
	@for t in $^; do echo "== $$t"; $$t || exit 1; done

stress: all | $(TEST_STAMP) ## 100,000 streams through the shortcut (STREAMS=…: so many)
	@$(if $(filter 0,$(shell id -u)),,sudo) env WEFT_STRESS_STREAMS=$(or $(STREAMS),100000) \
		/usr/bin/python3 -B -m pytest -q -p no:cacheprovider -rP integration-tests/test_shortcut_stress.py

# For .ci/test: the value of a list.
print-%:
	@echo $($*)

# What it finds stays in build/fuzz/found; what is worth keeping goes to the corpus by hand.
fuzz: | $(FUZZ_STAMP) ## every fuzz target under libFuzzer, FUZZ_SECONDS (60) each
	@$(MAKE) --no-print-directory VARIANT=fuzz fuzz-replays
	@for target in $(FUZZ_TARGETS); do \
		room=$$(cut -d/ -f2 <<<"$$target"); name=$$(basename "$$target" .c); log=build/fuzz/$$name.log; \
		mkdir -p build/fuzz/found/$$name; echo "== $$room/$$name, $(FUZZ_SECONDS) s"; \
		build/fuzz/fuzz/$$room/$$name -max_total_time=$(FUZZ_SECONDS) -timeout=5 \
			-print_final_stats=1 -verbosity=0 -artifact_prefix=build/fuzz/$$name- \
			build/fuzz/found/$$name userspace/$$room/fuzz/corpus/$${name#fuzz_} >$$log 2>&1 || \
			{ tail -60 $$log; exit 1; }; \
		grep ^stat:: $$log | sed 's/^stat::/   /'; \
	done
