# The gates in front of the tests: layer rule, style, format, clang-tidy, cppcheck.
LINT := build/lint
LINT_STAMP := build/.deps-lint
TIDY ?= clang-tidy
TIDY_SOURCES := $(sort $(shell find userspace -name '*.c'))
TIDY_STAMPS := $(TIDY_SOURCES:%.c=$(LINT)/tidy/%.ok)
CPPCHECK_SOURCES ?= userspace bench integration-tests
FORMAT_SOURCES ?= $(shell find userspace bpf include bench integration-tests -name '*.[ch]')
# As CFLAGS_ALL, in clang's words; the warnings are gcc's business.
TIDY_FLAGS := -std=gnu11 -D_GNU_SOURCE -Iuserspace -Iinclude -I$(GEN) -I/usr/share/include/llhttp \
	-DLLHTTP_STRICT_MODE=1 -Wno-everything

$(LINT_STAMP): .ci/packages.mk
	@mkdir -p $(@D)
	@.ci/install-packages $(PACKAGES_LINT)
	@touch $@

.PHONY: lint lint-includes lint-style lint-format lint-tidy lint-cppcheck lint-self-test
lint: lint-includes lint-style lint-format lint-tidy lint-cppcheck ## layer rule, style, format, clang-tidy, cppcheck
	@echo "lint: clean: $(words $(TIDY_SOURCES)) C files of userspace, $(words $(FORMAT_SOURCES)) files with headers, bpf and tests"

lint-includes: | $(LINT_STAMP)
	@.ci/check-includes

lint-style: | $(LINT_STAMP)
	@.ci/check-style

lint-format: | $(LINT_STAMP)
	@clang-format --dry-run -Werror $(FORMAT_SOURCES)

# cmocka's assertions do not tell the analyzer that they do not return.
TIDY_CHECKS = $(if $(findstring /tests/,$(1)),--checks=-clang-analyzer-core.NonNullParamChecker$(,)-clang-analyzer-core.NullDereference$(,)-clang-analyzer-core.CallAndMessage$(,)-cert-env33-c)
, := ,

# One stamp per file: only what changed is looked at again.
$(LINT)/tidy/%.ok: %.c .clang-tidy $(sort $(shell find userspace include -name '*.h')) \
		| $(LINT_STAMP) $(GEN)/weft.skel.h
	@mkdir -p $(@D)
	@log=$$(mktemp $@.XXXXXX); \
	if $(TIDY) --quiet $(call TIDY_CHECKS,$<) $< -- $(TIDY_FLAGS) >$$log 2>&1; then mv $$log $@; \
	else grep -vE 'warnings? (generated|treated as)' $$log; rm -f $$log; exit 1; fi
lint-tidy: $(TIDY_STAMPS)

lint-cppcheck: | $(LINT_STAMP)
	@mkdir -p $(LINT)/cppcheck
	@cppcheck -q -j$$(nproc) --std=c11 --language=c --cppcheck-build-dir=$(LINT)/cppcheck \
		--enable=warning,performance,portability --error-exitcode=1 --inline-suppr \
		--suppressions-list=.ci/cppcheck-suppressions.txt \
		-D_GNU_SOURCE -D__x86_64__ -Iuserspace -Iinclude $(CPPCHECK_SOURCES)
