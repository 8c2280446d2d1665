# A real Kubernetes, and weft on it. What is built for it stays in the user's cache folder (README.md).
K8S_STAMP := build/.deps-k8s

$(K8S_STAMP): .ci/packages.mk integration-tests/kubernetes/k8s.mk | $(DEPS_STAMP)
	@.ci/install-packages $(PACKAGES_K8S) $$(command -v go >/dev/null || echo golang-go)
	@touch $@

.PHONY: test-k8s
test-k8s: | $(K8S_STAMP) $(TEST_STAMP) ## a real two-node Kubernetes, and weft on it
	@.ci/test kubernetes
