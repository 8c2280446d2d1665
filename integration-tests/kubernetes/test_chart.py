"""The chart before a real API server: it accepts what helm renders, whatever the values."""

import os
import sys

import pytest
from k8s.builder import KUBERNETES
from k8s.weft import CHART, NAMESPACE, ROOT

sys.path.insert(0, os.path.join(ROOT, "helm/tests"))
from matrix import MATRIX  # noqa: E402

# What podMonitor.enabled needs; the Prometheus operator brings the real one.
POD_MONITORS = """
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: {name: podmonitors.monitoring.coreos.com}
spec:
  group: monitoring.coreos.com
  scope: Namespaced
  names: {kind: PodMonitor, plural: podmonitors, singular: podmonitor}
  versions:
  - name: v1
    served: true
    storage: true
    schema: {openAPIV3Schema: {type: object, x-kubernetes-preserve-unknown-fields: true}}
"""


@pytest.fixture(scope="module")
def with_system_namespace(cluster):
    cluster.apply(POD_MONITORS)
    cluster.kubectl("wait", "--for=condition=Established", "crd/podmonitors.monitoring.coreos.com")
    cluster.kubectl("create", "namespace", NAMESPACE)


@pytest.mark.parametrize("case", MATRIX)
def test_the_api_server_accepts_every_mixture_of_values(cluster, with_system_namespace, case):
    version = ("--kube-version", KUBERNETES)
    rendered = cluster.helm("template", "weft", CHART, "-n", NAMESPACE, *version, *MATRIX[case])
    said = cluster.kubectl("apply", "--dry-run=server", "--validate=strict", "-f", "-", text=rendered)
    assert said.count("created (server dry run)") == rendered.count("\nkind: ")
