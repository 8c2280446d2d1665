"""Medians over rounds, the table with ratios, and results.json."""

import statistics

PEERS = ("nginx", "haproxy")
RESULT_KEYS = ("requests_per_second", "cpu_us_per_request", "machine_cpu_us_per_request",
               "p50_us", "p99_us", "rss_kib")


def summarise(rounds):
    """Median of each figure over the rounds, and the spread (max - min) / median of the CPU."""
    summary = {key: statistics.median(one[key] for one in rounds) for key in rounds[0]}
    costs = [one["cpu_us_per_request"] or one["machine_cpu_us_per_request"] for one in rounds]
    summary["spread"] = (max(costs) - min(costs)) / statistics.median(costs)
    return summary


def better_peer(summaries, key):
    """The lower figure of nginx and haproxy; None when neither ran."""
    figures = [summaries[peer][key] for peer in PEERS if peer in summaries]
    return min(figures) if figures else None


def ratio(value, reference):
    return f"{value / reference:.2f}" if value and reference else "-"


def case_table(case, summaries):
    """Lines for people: one per subject, ratios to the better of nginx and haproxy."""
    best = {key: better_peer(summaries, key)
            for key in ("cpu_us_per_request", "machine_cpu_us_per_request")}
    lines = [f"{case}",
             f"{'subject':<10}{'req/s':>9}  {'proxy CPU µs/request':<30}"
             f"{'machine µs/request':<21}{'p50 µs':>8}{'p99 µs':>8}{'RSS KiB':>9}{'spread':>8}",
             f"{'':<10}{'':>9}  {'total':>6}{'user':>7}{'system':>8}{'ratio':>7}  "
             f"{'total':>10}{'ratio':>7}"]
    for subject, row in summaries.items():
        lines.append(
            f"{subject:<10}{row['requests_per_second']:>9.0f}  "
            f"{row['cpu_us_per_request']:>6.1f}{row['user_us']:>7.1f}{row['system_us']:>8.1f}"
            f"{ratio(row['cpu_us_per_request'], best['cpu_us_per_request']):>7}  "
            f"{row['machine_cpu_us_per_request']:>10.1f}"
            f"{ratio(row['machine_cpu_us_per_request'], best['machine_cpu_us_per_request']):>7}"
            f"{row['p50_us']:>10.0f}{row['p99_us']:>8.0f}{row['rss_kib']:>9.0f}"
            f"{100 * row['spread']:>7.0f}%")
    return lines


def idle_table(connections, memory):
    best = better_peer(memory, "bytes_per_idle_connection")
    lines = [f"{connections} idle keep-alive connections on a fresh process",
             f"{'subject':<10}{'RSS before KiB':>16}{'bytes/connection':>18}{'ratio':>7}"]
    for subject, row in memory.items():
        each = row["bytes_per_idle_connection"]
        lines.append(f"{subject:<10}{row['rss_idle_kib']:>16.0f}{each:>18.0f}"
                     f"{ratio(each, best):>7}")
    return lines


def results(by_case):
    """The list for results.json."""
    return [{"case": case, "subject": subject, **{key: round(row[key], 2) for key in RESULT_KEYS}}
            for case, summaries in by_case.items() for subject, row in summaries.items()]
