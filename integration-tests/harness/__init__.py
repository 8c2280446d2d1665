"""Pods from network namespaces and cgroups, a weftd of their own, and programs inside."""
