"""What is read off: CPU time from /proc, memory, and what wrk saw."""

import os
import time

from lab import Child, descendants

TICK_US = 1000000 // os.sysconf("SC_CLK_TCK")
WRK_SCRIPT = """
done = function(summary, latency, requests)
	local e = summary.errors
	io.write(string.format("result %d %d %d %d %d %d %d\\n", summary.requests, summary.duration,
		latency:percentile(50), latency:percentile(98), latency:percentile(99), latency:percentile(99.9),
		e.connect + e.read + e.write + e.status + e.timeout))
end
"""


def parse_stat_times(stat_line):
    """(user, system) in microseconds from a line of /proc/PID/stat."""
    fields = stat_line.rpartition(")")[2].split()
    return int(fields[11]) * TICK_US, int(fields[12]) * TICK_US


def parse_idle_us(proc_stat):
    """Idle and stolen time of all CPUs together in microseconds, and the number of CPUs."""
    lines = proc_stat.splitlines()
    fields = [int(field) for field in lines[0].split()[1:]]
    cpus = sum(1 for line in lines if line.startswith("cpu")) - 1
    steal = fields[7] if len(fields) > 7 else 0
    return (fields[3] + fields[4] + steal) * TICK_US, cpus


def proxy_times_us(pids):
    """(user, system) of the processes. The scheduler's nanoseconds, split as /proc/PID/stat
    splits its ticks."""
    user = system = exact = 0
    for pid in pids:
        with open(f"/proc/{pid}/stat") as stat:
            times = parse_stat_times(stat.read())
        user, system = user + times[0], system + times[1]
        for task in os.listdir(f"/proc/{pid}/task"):
            try:
                with open(f"/proc/{pid}/task/{task}/schedstat") as schedstat:
                    exact += int(schedstat.read().split()[0]) // 1000
            except FileNotFoundError:
                pass
    return user, system, exact


class Window:
    """CPU time between two moments, of a proxy and of the whole machine."""

    def __init__(self, pids):
        self.pids = pids
        self.begin_us = time.monotonic_ns() // 1000
        self.idle_us = self._idle()[0]
        self.proxy = proxy_times_us(pids)

    @staticmethod
    def _idle():
        with open("/proc/stat") as stat:
            return parse_idle_us(stat.read())

    def close(self):
        user, system, exact = (now - before for now, before in
                               zip(proxy_times_us(self.pids), self.proxy))
        idle_us, cpus = self._idle()
        wall_us = time.monotonic_ns() // 1000 - self.begin_us
        ticks = max(user + system, 1)
        total = exact or user + system
        return {"user_us": total * user / ticks, "system_us": total * system / ticks,
                "machine_us": max(0.0, wall_us * cpus - (idle_us - self.idle_us)),
                "machine_share": 1 - (idle_us - self.idle_us) / (wall_us * cpus)}


def machine_share(seconds):
    """How busy the machine is with nothing of ours running, 0..1."""
    window = Window([])
    time.sleep(seconds)
    return window.close()["machine_share"]


def pids_of(subject):
    return [pid for child in subject.children for pid in descendants(child.pid)]


def rss_kib(pids):
    total = 0
    for pid in pids:
        with open(f"/proc/{pid}/status") as status:
            total += sum(int(line.split()[1]) for line in status if line.startswith("VmRSS"))
    return total


def answers(lab, subject, idle_program, core):
    """Does the subject answer one request?"""
    probe = Child(lab, "probe", [idle_program, *map(str, subject.target()), "1"], core,
                  cgroup=subject.cgroup)
    result = probe.process.wait(20)
    lab.stop([probe])
    return result == 0


def wait_until_it_answers(lab, subject, idle_program, core, timeout_s=15):
    deadline = time.monotonic() + timeout_s
    while not answers(lab, subject, idle_program, core):
        for child in subject.children:
            if not child.is_alive():
                raise RuntimeError(f"{subject.name} ended:\n{child.log_tail()}")
        if time.monotonic() > deadline:
            tails = "\n".join(child.log_tail() for child in subject.children)
            raise RuntimeError(f"{subject.name} does not answer:\n{tails}")
        time.sleep(0.05)


def load(lab, subject, case, seconds, core):
    """One round: wrk against the subject. Returns a dict of per-request figures."""
    script = os.path.join(lab.run_dir, "report.lua")
    if not os.path.exists(script):
        with open(script, "w") as file:
            file.write(WRK_SCRIPT)
    address, port = subject.target()
    pids = pids_of(subject)
    window = Window(pids)
    wrk = Child(lab, "wrk", ["wrk", "-t1", f"-c{case.connections}", f"-d{seconds}",
                             "--timeout", "10", "-s", script, "-H", "Host: web",
                             f"http://{address}:{port}/{case.body_bytes}"],
                core, cgroup=subject.cgroup, pipes=True)
    output = wrk.process.stdout.read()
    status = wrk.process.wait()
    used = window.close()
    tail = wrk.log_tail()
    lab.stop([wrk])
    lines = [line for line in output.splitlines() if line.startswith("result ")]
    if status or not lines:
        raise RuntimeError(f"wrk against {subject.name} failed: {output}{tail}")
    requests, duration_us, p50_us, p98_us, p99_us, p999_us, errors = map(int, lines[0].split()[1:])
    if errors or not requests:
        raise RuntimeError(f"{subject.name}, {case.name}: {errors} errors in {requests} requests")
    return {"requests_per_second": requests * 1e6 / duration_us,
            "user_us": used["user_us"] / requests, "system_us": used["system_us"] / requests,
            "cpu_us_per_request": (used["user_us"] + used["system_us"]) / requests,
            "machine_cpu_us_per_request": used["machine_us"] / requests,
            "p50_us": p50_us, "p98_us": p98_us, "p99_us": p99_us, "p999_us": p999_us,
            "rss_kib": rss_kib(pids)}


def idle_memory(lab, subject, idle_program, connections, core):
    """Memory of a fresh proxy after one request, and bytes per idle keep-alive connection."""
    pids = pids_of(subject)
    before_kib = rss_kib(pids)
    client = Child(lab, "idle", [idle_program, *map(str, subject.target()), str(connections)],
                   core, cgroup=subject.cgroup, pipes=True)
    line = client.process.stdout.readline()
    tail = client.log_tail()
    after_kib = rss_kib(pids)
    lab.stop([client])
    if line.strip() != "ready":
        raise RuntimeError(f"{subject.name}: {connections} idle connections failed: {tail}")
    return {"rss_idle_kib": before_kib,
            "bytes_per_idle_connection": (after_kib - before_kib) * 1024 / connections}
