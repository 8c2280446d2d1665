"""Prometheus text, read as numbers."""

import re

LINE = re.compile(r"^([a-zA-Z_:][a-zA-Z0-9_:]*)(?:\{(.*)\})? (\S+)$")
LABEL = re.compile(r'([a-zA-Z_][a-zA-Z0-9_]*)="((?:[^"\\]|\\.)*)"')


class Metrics:
    """One scrape."""

    def __init__(self, text):
        self.text = text
        self.samples = []
        for line in text.splitlines():
            if line and not line.startswith("#"):
                match = LINE.match(line)
                assert match, f"no line of Prometheus text: {line!r}"
                self.samples.append((match[1], dict(LABEL.findall(match[2] or "")), float(match[3])))

    def sum(self, name, **labels):
        """Sum of all samples with these labels; endpoint=None: only those without that label."""
        total = 0.0
        for sample, has, value in self.samples:
            if sample == name and all(has.get(key) == wanted for key, wanted in labels.items()):
                total += value
        return total

    def service(self, name, service, **labels):
        """The service's total: its series without an endpoint."""
        return self.sum(name, service=service, endpoint=None, **labels)

    def captured(self, pod=None):
        labels = {"pod": pod} if pod else {}
        return self.sum("weft_capture_decisions_total", reason="captured", **labels)

    def decision(self, reason, pod=None):
        labels = {"pod": pod} if pod else {}
        return self.sum("weft_capture_decisions_total", reason=reason, **labels)

    def proxy_reason(self, reason):
        return self.sum("weft_proxy_reasons_total", reason=reason)
