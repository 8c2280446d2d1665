# A real Kubernetes, and weft on it. What is built for it stays in the user's cache folder (README.md).
K8S_STAMP := build/.deps-k8s
AS_ROOT := $(if $(filter 0,$(shell id -u)),,sudo env XDG_CACHE_HOME=$(XDG_CACHE_HOME))

$(K8S_STAMP): .ci/packages.mk integration-tests/kubernetes/k8s.mk | $(DEPS_STAMP)
	@.ci/install-packages $(PACKAGES_K8S) $$(command -v go >/dev/null || echo golang-go)
	@touch $@

.PHONY: test-k8s
test-k8s: all image | $(K8S_STAMP) $(TEST_STAMP) ## a real two-node Kubernetes, and weft on it
	@$(AS_ROOT) /usr/bin/python3 -B -m pytest -q --tb=short integration-tests/kubernetes
