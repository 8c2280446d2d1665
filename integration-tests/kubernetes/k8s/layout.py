"""Addresses of a cluster: the same in every cluster, for each has a network of its own."""

API_PORT = 443
DNS_ADDRESS = "10.96.0.10"
API_SERVICE_ADDRESS = "10.96.0.1"
SERVICE_RANGES = "10.96.0.0/16,fd96::/112"
POD_RANGES = "10.244.0.0/16,fd44::/16"
CONTROL_ADDRESS, CONTROL_ADDRESS6 = "10.77.0.1", "fd77::1"
API_URL = f"https://{CONTROL_ADDRESS}:{API_PORT}"


def node_address(number):
    return f"10.77.0.{10 + number}"


def node_address6(number):
    return f"fd77::{10 + number:x}"


def pod_range(number):
    return f"10.244.{number}.0/24"


def pod_range6(number):
    return f"fd44:{number:x}::/64"
