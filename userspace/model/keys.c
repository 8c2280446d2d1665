#include "model/keys_table.h"

/* In the order of the reference; a map or list stands before what it holds. */
static const struct key keys[] = {
	{"workers", KEY_INTEGER, SETTING(workers), RANGE(0, WEFT_WORKERS_MAX),
	 .flags = KEY_AT_START, .fallback = "0", .unit = "threads",
	 .meaning = "Worker threads; 0 takes a quarter of the CPUs, at least 1 and at most 16."},

	{"admin", KEY_MAP, .meaning = "Where metrics, health and state are shown."},
	{"admin.address", KEY_ADDRESS, TEXT(struct draft, settings.admin_address),
	 .flags = KEY_MAY_BE_EMPTY | KEY_AT_START, .fallback = "127.0.0.1:9990",
	 .meaning = "Address of the read-only HTTP server; \"\" switches it off."},
	{"admin.socket", KEY_PATH, TEXT(struct draft, settings.control_socket), RANGE(0, 107),
	 .flags = KEY_AT_START, .fallback = "/run/weft/weftd.sock",
	 .meaning =
		 "Unix socket for the command line, which may also drain; only root may open it."},

	{"bpf", KEY_MAP, .meaning = "Where the kernel side lives."},
	{"bpf.pin_dir", KEY_PATH, TEXT(struct draft, settings.pin_dir), RANGE(0, 255),
	 .flags = KEY_AT_START, .fallback = WEFT_PIN_DIR,
	 .meaning = "Folder of a bpf file system in which maps and programs are pinned."},
	{"bpf.cgroup_root", KEY_PATH, TEXT(struct draft, settings.cgroup_root), RANGE(0, 4095),
	 .flags = KEY_MAY_BE_EMPTY | KEY_AT_START, .fallback = "",
	 .meaning = "Cgroup v2 folder to attach the hooks to; \"\" finds the mount."},

	{"log", KEY_MAP, .meaning = "Log lines on standard error."},
	{"log.level", KEY_CHOICE, TEXT(struct draft, settings.log_level),
	 .choices = "debug|info|warn|error", .fallback = "info",
	 .meaning = "Least level that is written."},
	{"log.format", KEY_CHOICE, SETTING(log_json), .choices = "text|json", .fallback = "text",
	 .meaning = "Lines as key=value text or as JSON objects."},

	{"timeouts", KEY_MAP, .meaning = "How long things may take."},
	{"timeouts.connect", KEY_DURATION, SETTING(connect_timeout_ns), RANGE(MS, 600 * SEC),
	 .fallback = "1s", .meaning = "Longest wait for one dial of an endpoint."},
	{"timeouts.header", KEY_DURATION, SETTING(header_timeout_ns), RANGE(0, DAY),
	 .fallback = "60s",
	 .meaning = "Longest time from a request's first byte to the end of its head; 0s is off."},
	{"timeouts.client_idle", KEY_DURATION, SETTING(client_idle_timeout_ns), RANGE(0, DAY),
	 .fallback = "0s", .meaning = "Longest pause of a client between two requests; 0s is off."},
	{"timeouts.tunnel_idle", KEY_DURATION, SETTING(tunnel_idle_timeout_ns), RANGE(0, 30 * DAY),
	 .fallback = "0s", .meaning = "Longest silence of both ends of a tunnel; 0s is off."},
	{"timeouts.upstream_idle", KEY_DURATION, SETTING(upstream_idle_timeout_ns), RANGE(0, DAY),
	 .fallback = "2s",
	 .meaning = "How long an unused connection to an endpoint is kept; 0s keeps none."},
	{"timeouts.upstream_fresh", KEY_DURATION, SETTING(upstream_fresh_ns), RANGE(0, DAY),
	 .fallback = "1s",
	 .meaning =
		 "A request that cannot be sent twice takes no kept connection older than this."},
	{"timeouts.drain", KEY_DURATION, SETTING(drain_timeout_ns), RANGE(0, DAY),
	 .fallback = "30s",
	 .meaning = "Time that connections get to end when a pod or weftd leaves; 0s cuts them."},

	{"limits", KEY_MAP, .meaning = "How much things may take."},
	{"limits.connect_attempts", KEY_INTEGER, SETTING(connect_attempts), RANGE(1, 16),
	 .fallback = "3", .unit = "endpoints",
	 .meaning =
		 "Endpoints that are dialled for one connection or request before it fails; "
		 "when each has refused, a service's budget of retries allows more, 16 at most."},
	{"limits.header_bytes", KEY_SIZE, SETTING(head_limit_bytes), RANGE(KIB, MIB),
	 .fallback = "64KiB", .unit = "bytes",
	 .meaning = "Largest head of a request or response; beyond it 431 or 502."},
	{"limits.request_line_bytes", KEY_SIZE, SETTING(line_limit_bytes), RANGE(256, MIB),
	 .fallback = "16KiB", .unit = "bytes", .meaning = "Longest request line; beyond it 414."},
	{"limits.header_count", KEY_INTEGER, SETTING(field_limit), RANGE(8, 1024),
	 .fallback = "128", .unit = "fields",
	 .meaning = "Most header fields of a request or response."},
	{"limits.window", KEY_SIZE, SETTING(window_bytes), RANGE(4 * KIB, 16 * MIB),
	 .fallback = "64KiB", .unit = "bytes",
	 .meaning = "Bytes queued in one direction of a connection before reading pauses."},
	{"limits.buffers", KEY_SIZE, SETTING(buffer_limit_bytes), RANGE(MIB, 64 * GIB),
	 .flags = KEY_AT_START, .fallback = "256MiB", .unit = "bytes",
	 .meaning = "Buffer memory that one worker may use."},
	{"limits.sessions", KEY_INTEGER, SETTING(session_limit), RANGE(16, 1u << 20),
	 .fallback = "65536", .unit = "connections",
	 .meaning = "Captured connections that one worker serves at a time."},
	{"limits.socket_stock", KEY_INTEGER, SETTING(socket_stock), RANGE(1, 1024),
	 .flags = KEY_AT_START, .fallback = "8", .unit = "sockets",
	 .meaning = "Unconnected sockets kept ready per pod, worker and address family."},
	{"limits.service_endpoints", KEY_INTEGER, SETTING(service_endpoint_limit), RANGE(1, 262144),
	 .fallback = "50000", .unit = "endpoints",
	 .meaning = "Endpoints of one Service of Kubernetes, counted once for each of its TCP "
		    "ports; one with more is not meshed."},

	{"http", KEY_MAP, .meaning = "How HTTP is forwarded."},
	{"http.via", KEY_BOOL, SETTING(via), .fallback = "false",
	 .meaning = "Adds a Via header to what is forwarded (some servers then stop compressing)."},

	{"shortcut", KEY_MAP, .meaning = "How bytes go between apps and weft on one machine."},
	{"shortcut.mode", KEY_CHOICE, SETTING(shortcut), .choices = "inherit|off|auto|on",
	 .fallback = "off",
	 .meaning = "Past TCP where the port is declared HTTP (auto), everywhere (on) or nowhere "
		    "(off); what a service or pod says goes before it."},
	{"shortcut.window", KEY_SIZE, SETTING(shortcut_window), RANGE(4 * KIB, 16 * MIB),
	 .fallback = "256KiB", .unit = "bytes",
	 .meaning = "What may wait past TCP for a socket that does not read, until its "
		    "connection goes back to TCP."},

	{"locality", KEY_MAP, .meaning = "Where this weftd is, for services[].locality."},
	{"locality.node", KEY_NAME, TEXT(struct draft, settings.locality_node), RANGE(0, 253),
	 .flags = KEY_MAY_BE_EMPTY | KEY_AT_START, .fallback = "",
	 .meaning = "Name of this node; \"\" takes kubernetes.node."},
	{"locality.zone", KEY_NAME, TEXT(struct draft, settings.locality_zone), RANGE(0, 253),
	 .flags = KEY_MAY_BE_EMPTY | KEY_AT_START, .fallback = "",
	 .meaning = "Name of this node's zone; \"\" takes it from the Node of Kubernetes."},

	{"sticky", KEY_MAP, .meaning = "Stickiness by cookie, for services[].sticky_cookie."},
	{"sticky.key", KEY_NAME, TEXT(struct draft, settings.sticky_secret), RANGE(0, 255),
	 .flags = KEY_MAY_BE_EMPTY | KEY_IS_SECRET, .fallback = "",
	 .meaning = "Secret that the cookies' values are made with, the same on all nodes; "
		    "without one who knows the addresses can guess the values."},

	{"kubernetes", KEY_MAP, .meaning = "Pods and services of a Kubernetes cluster."},
	{"kubernetes.enabled", KEY_BOOL, SETTING(kubernetes), .flags = KEY_AT_START,
	 .fallback = "false",
	 .meaning = "Follows the API server: this node's pods that are labelled weft.io/mesh: "
		    "enabled (or whose namespace is), and all services."},
	{"kubernetes.api", KEY_URL, TEXT(struct draft, settings.kube_api), RANGE(0, 255),
	 .flags = KEY_MAY_BE_EMPTY | KEY_AT_START, .fallback = "",
	 .meaning = "https://HOST:PORT or http://HOST:PORT of the API server, an IP address or a "
		    "name; "
		    "\"\" is in-cluster."},
	{"kubernetes.node", KEY_NAME, TEXT(struct draft, settings.kube_node), RANGE(0, 253),
	 .flags = KEY_MAY_BE_EMPTY | KEY_AT_START, .fallback = "",
	 .meaning = "This node's name; \"\" takes it from the environment, WEFT_NODE_NAME."},
	{"kubernetes.proc", KEY_PATH, TEXT(struct draft, settings.proc_root), RANGE(0, 255),
	 .flags = KEY_AT_START, .fallback = "/proc",
	 .meaning = "A proc file system that shows the pods' processes (hostPID)."},
	{"kubernetes.on_proxy_death", KEY_CHOICE, SETTING(pod_on_proxy_death),
	 .choices = "open|closed", .fallback = "open",
	 .meaning = "For pods without the annotation weft.io/on-proxy-death."},

	{"compatibility", KEY_CHOICE, SETTING(compatibility), .choices = "none|linkerd",
	 .fallback = "none",
	 .meaning =
		 "linkerd: timeouts are answered with 503 and answers carry l5d-success-class, as "
		 "Linkerd 1.x did."},

	{"services", MAPS(struct draft, services, struct service_draft), .most = 65536,
	 .meaning = "What pods may dial by a virtual address."},
	{"services[].name", KEY_NAME, TEXT(struct service_draft, name), .flags = KEY_REQUIRED,
	 .most = WEFT_NAME_MAX - 1, .example = "web",
	 .meaning = "Name in metrics and output; unique."},
	{"services[].addresses", VALUES(struct service_draft, addresses), .flags = KEY_REQUIRED,
	 RANGE(1, 64), .meaning = "Virtual addresses, without a port."},
	{"services[].addresses[]", KEY_IP, .example = "10.96.0.10",
	 .meaning = "One IPv4 or IPv6 address."},
	{"services[].ports", VALUES(struct service_draft, ports), .flags = KEY_REQUIRED,
	 RANGE(1, 256), .meaning = "Ports, each at every address."},
	{"services[].ports[]", KEY_INTEGER, RANGE(1, 65535), .example = "80",
	 .meaning = "One TCP port."},
	{"services[].protocol", KEY_CHOICE, NUMBER(struct service_draft, protocol),
	 .choices = "auto|http|opaque", .fallback = "auto",
	 .meaning = "auto looks at the first bytes, http promises HTTP, opaque never looks."},
	{"services[].balancer", KEY_CHOICE, NUMBER(struct service_draft, balancer),
	 .choices = "ewma|p2c|aperture|round_robin|random|least|hash|client_ip", .fallback = "ewma",
	 .meaning = "ewma takes of two random endpoints the one that is expected to answer sooner, "
		    "p2c the less busy one, aperture does so among as few as the load needs; "
		    "round_robin goes round, random draws, least takes the least busy of all; "
		    "hash sends what is equal to one endpoint, client_ip a client's address."},
	{"services[].hash_on", KEY_CHOICE, NUMBER(struct service_draft, balancing.hash_on),
	 .choices = "source|header|cookie|path", .fallback = "source",
	 .meaning = "What balancer: hash looks at: the client's address, a header, a cookie or "
		    "the path; a request without it goes where ewma sends it."},
	{"services[].hash_name", KEY_NAME, TEXT(struct service_draft, hash_name),
	 RANGE(0, HASH_NAME_MAX - 1), .flags = KEY_MAY_BE_EMPTY, .fallback = "",
	 .example = "x-user", .meaning = "Name of that header or cookie."},
	{"services[].sticky_cookie", KEY_NAME, TEXT(struct service_draft, sticky_cookie),
	 RANGE(0, HASH_NAME_MAX - 1), .flags = KEY_MAY_BE_EMPTY, .fallback = "",
	 .example = "weft-sticky",
	 .meaning = "Cookie that the first answer sets and by which a client keeps its endpoint "
		    "for as long as that is ready; \"\" is off."},
	{"services[].slow_start", KEY_DURATION,
	 NUMBER(struct service_draft, balancing.slow_start_ns), RANGE(0, DAY), .fallback = "0s",
	 .meaning = "How long the share of an endpoint that joins the others grows from a tenth "
		    "to all of it; 0s is off. hash and client_ip do not look at it."},
	{"services[].locality", KEY_CHOICE, NUMBER(struct service_draft, balancing.locality),
	 .choices = "any|near", .fallback = "any",
	 .meaning = "near takes endpoints of the same node first, then of the same zone, then any; "
		    "farther ones when near ones are ejected or overloaded. hash and client_ip "
		    "do not look at it."},
	{"services[].near_limit", KEY_INTEGER, NUMBER(struct service_draft, balancing.near_limit),
	 RANGE(0, 1u << 20), .fallback = "32", .unit = "attempts",
	 .meaning = "Requests and connections in flight per near endpoint and worker, from which "
		    "on farther endpoints are taken; 0 is no limit."},
	{"services[].panic_threshold", KEY_INTEGER,
	 NUMBER(struct service_draft, balancing.panic_percent), RANGE(0, 100), .fallback = "50",
	 .unit = "percent",
	 .meaning = "With fewer of the ready endpoints not ejected, ejection is ignored."},
	{"services[].shortcut", KEY_CHOICE, NUMBER(struct service_draft, shortcut),
	 .choices = "inherit|off|auto|on", .fallback = "inherit",
	 .meaning = "The shortcut of connections to it; inherit is what the mesh has."},
	{"services[].shortcut_window", KEY_SIZE, NUMBER(struct service_draft, shortcut_window),
	 RANGE(4 * KIB, 16 * MIB), .flags = KEY_MAY_BE_ZERO, .fallback = "0", .unit = "bytes",
	 .meaning = "As shortcut.window, for connections to it; 0 is what the mesh has."},
	{"services[].trust_dtab_headers", KEY_BOOL, NUMBER(struct service_draft, trusts_dtabs),
	 .fallback = "false",
	 .meaning = "Requests that are dialled to it may bring dtab entries, whichever pod they "
		    "come from; see pods[].trust_dtab_headers."},
	{"services[].classifier", KEY_CHOICE, NUMBER(struct service_draft, resilience.classifier),
	 .choices = "non_retryable_5xx|retryable_read_5xx|retryable_idempotent_5xx|retryable_all_"
		    "5xx|all_successful",
	 .fallback = "non_retryable_5xx",
	 .meaning = "Which answers are failures, and of which methods they may be tried again: "
		    "none, GET HEAD OPTIONS TRACE, those and PUT DELETE, those and POST PATCH; or "
		    "nothing is a failure."},
	{"services[].retries", KEY_MAP,
	 .meaning =
		 "Second tries of requests that failed, before a byte of an answer was passed on."},
	{"services[].retries.attempts", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.retry.attempts_most), RANGE(1, 100),
	 .fallback = "5", .unit = "attempts",
	 .meaning = "Most attempts of one request, with the first; 1 switches retries off."},
	{"services[].retries.buffer", KEY_SIZE,
	 NUMBER(struct service_draft, resilience.retry.buffer_bytes), RANGE(0, 16 * MIB),
	 .fallback = "64KiB", .unit = "bytes",
	 .meaning = "A request that is larger, with its body, is not tried again."},
	{"services[].retries.backoff", KEY_CHOICE,
	 NUMBER(struct service_draft, resilience.retry.backoff.kind),
	 .choices = "constant|jittered", .fallback = "constant",
	 .meaning = "Waits of backoff_least, or random ones up to three times the one before."},
	{"services[].retries.backoff_least", KEY_DURATION,
	 NUMBER(struct service_draft, resilience.retry.backoff.least_ns), RANGE(0, 60 * SEC),
	 .fallback = "0", .meaning = "Shortest wait before a second try."},
	{"services[].retries.backoff_most", KEY_DURATION,
	 NUMBER(struct service_draft, resilience.retry.backoff.most_ns), RANGE(0, 600 * SEC),
	 .fallback = "1s", .meaning = "Longest wait of jittered."},
	{"services[].retries.budget_share", KEY_PERCENT,
	 NUMBER(struct service_draft, resilience.retry.budget.share_ppm), RANGE(1000, 1000 * PPM),
	 .flags = KEY_MAY_BE_ZERO, .fallback = "20",
	 .meaning = "Retries in proportion to requests, over all of the service."},
	{"services[].retries.budget_least", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.retry.budget.min_per_second), RANGE(0, 1000000),
	 .fallback = "10", .unit = "retries per second",
	 .meaning = "Retries that are allowed at any rate of requests."},
	{"services[].retries.budget_ttl", KEY_DURATION,
	 NUMBER(struct service_draft, resilience.retry.budget.ttl_ns), RANGE(SEC, 60 * SEC),
	 .fallback = "10s", .meaning = "How long the budget remembers requests and retries."},
	{"services[].hedging", KEY_MAP,
	 .meaning = "A second endpoint for a read or idempotent request whose answer takes long: "
		    "whoever answers first is taken. Once per request, from the retries' budget."},
	{"services[].hedging.after", KEY_DURATION,
	 NUMBER(struct service_draft, resilience.hedge.after_ns), RANGE(MS, 600 * SEC),
	 .flags = KEY_MAY_BE_ZERO, .fallback = "0",
	 .meaning = "When it is sent; 0 with percentile 0 is never."},
	{"services[].hedging.percentile", KEY_PERCENT,
	 NUMBER(struct service_draft, resilience.hedge.share_ppm), RANGE(500000, 999000),
	 .flags = KEY_MAY_BE_ZERO, .fallback = "0",
	 .meaning = "When it has taken longer than this share of answers do, and than `after`."},
	{"services[].breaker", KEY_MAP,
	 .meaning =
		 "Leaves endpoints out that fail, and probes them with one request after a wait."},
	{"services[].breaker.policy", KEY_CHOICE,
	 NUMBER(struct service_draft, resilience.breaker.kind),
	 .choices = "none|consecutive_failures|success_rate|success_rate_windowed",
	 .fallback = "consecutive_failures", .meaning = "When an endpoint is left out."},
	{"services[].breaker.failures", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.breaker.failures), RANGE(1, 1000000),
	 .fallback = "5", .unit = "failures",
	 .meaning = "So many in a row, for consecutive_failures."},
	{"services[].breaker.success_rate", KEY_PERCENT,
	 NUMBER(struct service_draft, resilience.breaker.success_ppm), RANGE(1, PPM),
	 .fallback = "90", .meaning = "Below it, for success_rate and success_rate_windowed."},
	{"services[].breaker.requests", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.breaker.requests), RANGE(1, 1000000),
	 .fallback = "20", .unit = "requests",
	 .meaning = "Over how many requests success_rate is averaged, and least number of them."},
	{"services[].breaker.window", KEY_DURATION,
	 NUMBER(struct service_draft, resilience.breaker.window_ns), RANGE(SEC, 3600 * SEC),
	 .fallback = "30s", .meaning = "Over which time success_rate_windowed is averaged."},
	{"services[].breaker.backoff", KEY_CHOICE,
	 NUMBER(struct service_draft, resilience.breaker.backoff.kind),
	 .choices = "constant|jittered|equal_jittered", .fallback = "equal_jittered",
	 .meaning = "Waits before a probe: constant, random up to three times the one before, or "
		    "doubling with half of it random."},
	{"services[].breaker.backoff_least", KEY_DURATION,
	 NUMBER(struct service_draft, resilience.breaker.backoff.least_ns), RANGE(MS, 3600 * SEC),
	 .fallback = "5s", .meaning = "First wait before a probe."},
	{"services[].breaker.backoff_most", KEY_DURATION,
	 NUMBER(struct service_draft, resilience.breaker.backoff.most_ns),
	 RANGE(MS, 24 * 3600 * SEC), .fallback = "300s", .meaning = "Longest wait before a probe."},
	{"services[].breaker.most_out", KEY_PERCENT,
	 NUMBER(struct service_draft, resilience.breaker.removed_most_ppm), RANGE(0, PPM),
	 .fallback = "50", .meaning = "Most endpoints that are left out at a time, rounded down."},
	{"services[].timeouts", KEY_MAP,
	 .meaning =
		 "How long an answer's head may take; 504 then. A body may stream for any time."},
	{"services[].timeouts.total", KEY_DURATION,
	 NUMBER(struct service_draft, resilience.timeout.total_ns), RANGE(MS, 3600 * SEC),
	 .flags = KEY_MAY_BE_ZERO, .fallback = "0",
	 .meaning =
		 "With all second tries; 0 is no limit. Told to the next hop (l5d-ctx-deadline)."},
	{"services[].timeouts.per_try", KEY_DURATION,
	 NUMBER(struct service_draft, resilience.timeout.per_try_ns), RANGE(MS, 3600 * SEC),
	 .flags = KEY_MAY_BE_ZERO, .fallback = "0", .meaning = "Of each attempt; 0 is no limit."},
	{"services[].limits", KEY_MAP,
	 .meaning = "How much of it this node lets through at a time."},
	{"services[].limits.concurrency", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.limit.concurrency), RANGE(0, 1000000),
	 .fallback = "0", .unit = "requests",
	 .meaning = "Requests under way; more are answered with 503; 0 is no limit."},
	{"services[].limits.endpoint_concurrency", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.limit.endpoint_concurrency), RANGE(0, 1000000),
	 .fallback = "0", .unit = "requests",
	 .meaning = "Requests under way at each endpoint; one that has as many is not picked."},
	{"services[].limits.queue", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.limit.queue), RANGE(0, 1000000), .fallback = "0",
	 .unit = "requests",
	 .meaning = "So many wait, in order, where a cap is reached, instead of the 503."},
	{"services[].limits.queue_wait", KEY_DURATION,
	 NUMBER(struct service_draft, resilience.limit.queue_wait_ns), RANGE(MS, 600 * SEC),
	 .fallback = "1s", .meaning = "How long each of them waits at most; 503 then."},
	{"services[].limits.adaptive", KEY_BOOL,
	 NUMBER(struct service_draft, resilience.limit.adapts), .fallback = "false",
	 .meaning = "Finds a lower limit of requests under way by their latency."},
	{"services[].limits.rate", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.limit.rate_per_second), RANGE(0, 1000000),
	 .fallback = "0", .unit = "requests per second",
	 .meaning = "More are answered with 429; 0 is no limit."},
	{"services[].limits.rate_by", KEY_CHOICE,
	 NUMBER(struct service_draft, resilience.limit.rate_by), .choices = "service|client|header",
	 .fallback = "service",
	 .meaning = "Whose rate that is: of all clients, of each pod, or of each value of "
		    "rate_header."},
	{"services[].limits.rate_header", KEY_NAME, TEXT(struct service_draft, rate_header),
	 RANGE(0, HASH_NAME_MAX - 1), .flags = KEY_MAY_BE_EMPTY, .fallback = "",
	 .example = "x-api-key",
	 .meaning = "Name of that header; requests without it share one rate."},
	{"services[].limits.rate_values", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.limit.rate_values), RANGE(8, 1000000),
	 .fallback = "1024", .unit = "values",
	 .meaning = "Pods or values with a rate of their own; a new one takes the place of the "
		    "least recent."},
	{"services[].limits.burst", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.limit.rate_burst), RANGE(0, 1000000),
	 .fallback = "0", .unit = "requests", .meaning = "At once; 0 is as many as in a second."},
	{"services[].limits.client_rate", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.limit.client_rate_per_second), RANGE(0, 1000000),
	 .fallback = "0", .unit = "requests per second", .meaning = "Of each pod; 0 is no limit."},
	{"services[].limits.client_burst", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.limit.client_rate_burst), RANGE(0, 1000000),
	 .fallback = "0", .unit = "requests",
	 .meaning = "Of each pod at once; 0 is as many as in a second."},
	{"services[].faults", KEY_MAP,
	 .meaning = "Faults on purpose, to see what clients make of them."},
	{"services[].faults.delay", KEY_DURATION,
	 NUMBER(struct service_draft, resilience.fault.delay_ns), RANGE(0, 60 * SEC),
	 .fallback = "0", .meaning = "How long requests wait that are chosen for it."},
	{"services[].faults.delay_share", KEY_PERCENT,
	 NUMBER(struct service_draft, resilience.fault.delay_ppm), RANGE(0, PPM), .fallback = "0",
	 .meaning = "How many wait."},
	{"services[].faults.abort_status", KEY_INTEGER,
	 NUMBER(struct service_draft, resilience.fault.abort_status), RANGE(200, 599),
	 .fallback = "503", .unit = "HTTP status",
	 .meaning = "What requests are answered that are chosen for it."},
	{"services[].faults.abort_share", KEY_PERCENT,
	 NUMBER(struct service_draft, resilience.fault.abort_ppm), RANGE(0, PPM), .fallback = "0",
	 .meaning = "How many are answered so, without being sent."},
	{"services[].faults.by_header", KEY_BOOL,
	 NUMBER(struct service_draft, resilience.fault.by_header), .fallback = "false",
	 .meaning = "A request may ask for its own fault: weft-fault: delay=250ms, abort=503."},
	{"services[].endpoints", MAPS(struct service_draft, endpoints, struct endpoint_draft),
	 .most = 16384,
	 .meaning = "Who answers; while there is none, connect() is refused at once."},
	{"services[].endpoints[].address", KEY_ADDRESS, ADDRESS(struct endpoint_draft, address),
	 .flags = KEY_REQUIRED, .example = "10.0.0.2:8080", .meaning = "Address and port."},
	{"services[].endpoints[].weight", KEY_INTEGER, NUMBER(struct endpoint_draft, weight),
	 RANGE(0, 65535), .fallback = "1",
	 .meaning = "Share of the traffic beside the other endpoints; 0 takes no new requests."},
	{"services[].endpoints[].node", KEY_NAME, TEXT(struct endpoint_draft, node), RANGE(0, 253),
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "", .meaning = "Node that it is on."},
	{"services[].endpoints[].zone", KEY_NAME, TEXT(struct endpoint_draft, zone), RANGE(0, 253),
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "", .meaning = "Zone that it is in."},

	{"pods", MAPS(struct draft, pods, struct pod_draft), .most = 4096,
	 .meaning = "Whose connections are captured."},
	{"pods[].name", KEY_NAME, TEXT(struct pod_draft, name), .flags = KEY_REQUIRED,
	 .most = WEFT_NAME_MAX - 1, .example = "client",
	 .meaning = "Name in metrics and output; unique."},
	{"pods[].netns", KEY_PATH, TEXT(struct pod_draft, netns_path), RANGE(0, 4095),
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "", .example = "/run/netns/client",
	 .meaning = "The pod's network namespace; exactly one of netns and cgroup is given."},
	{"pods[].cgroup", KEY_PATH, TEXT(struct pod_draft, cgroup_path), RANGE(0, 4095),
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "",
	 .meaning = "The pod's cgroup v2 folder, for one that shares weftd's network namespace."},
	{"pods[].addresses", VALUES(struct pod_draft, addresses), .most = 2,
	 .meaning = "What getsockname() says, one per family; by default found in the namespace."},
	{"pods[].addresses[]", KEY_IP, .example = "10.0.0.5",
	 .meaning = "One IPv4 or IPv6 address."},
	{"pods[].on_proxy_death", KEY_CHOICE, NUMBER(struct pod_draft, on_proxy_death),
	 .choices = "open|closed", .fallback = "open",
	 .meaning = "While weftd is dead, dials go direct (open) or are refused (closed)."},
	{"pods[].shortcut", KEY_CHOICE, NUMBER(struct pod_draft, shortcut),
	 .choices = "inherit|off|auto|on", .fallback = "inherit",
	 .meaning = "The shortcut of its connections, before what services say; but an off of "
		    "either holds."},
	{"pods[].capture", KEY_CHOICE, NUMBER(struct pod_draft, captures_all),
	 .choices = "services|all", .fallback = "services",
	 .meaning = "Captures dials to the services above, or every TCP dial."},
	{"pods[].trust_dtab_headers", KEY_BOOL, NUMBER(struct pod_draft, trusts_dtabs),
	 .fallback = "false",
	 .meaning = "Its requests may bring dtab entries in l5d-dtab and l5d-ctx-dtab; otherwise "
		    "these are removed, unless the service that it dials trusts everybody's."},
	{"pods[].skip_outbound_ports", VALUES(struct pod_draft, skip_ports), .most = 1024,
	 .meaning = "Destination ports that are never captured."},
	{"pods[].skip_outbound_ports[]", KEY_INTEGER, RANGE(1, 65535), .example = "25",
	 .meaning = "One TCP port."},
	{"pods[].skip_outbound_cidrs", VALUES(struct pod_draft, skip_cidrs), .most = 1024,
	 .meaning = "Destination networks that are never captured."},
	{"pods[].skip_outbound_cidrs[]", KEY_CIDR, .example = "192.0.2.0/24",
	 .meaning = "One network, as address/prefix."},
	{"pods[].opaque_ports", VALUES(struct pod_draft, opaque_ports), .most = 1024,
	 .meaning =
		 "Destination ports whose bytes are never looked at, whatever the service says."},
	{"pods[].opaque_ports[]", KEY_INTEGER, RANGE(1, 65535), .example = "3306",
	 .meaning = "One TCP port."},
	{"pods[].http_ports", VALUES(struct pod_draft, http_ports), .most = 1024,
	 .meaning = "Destination ports that promise HTTP, whatever the service says."},
	{"pods[].http_ports[]", KEY_INTEGER, RANGE(1, 65535), .example = "8080",
	 .meaning = "One TCP port."},
};

size_t keys_count(void)
{
	return array_count(keys) + route_key_count + naming_key_count;
}

const struct key *keys_at(size_t index)
{
	if (index < array_count(keys))
		return &keys[index];
	index -= array_count(keys);
	if (index < route_key_count)
		return &route_keys[index];
	index -= route_key_count;
	return index < naming_key_count ? &naming_keys[index] : NULL;
}

/* The part of the key's path below parent ("ports", "endpoints[].weight"), or NULL. */
static const char *path_below(const struct key *key, const struct key *parent)
{
	if (!parent)
		return key->path;
	size_t size = strlen(parent->path);
	const char *rest = key->path + size;
	if (strncmp(key->path, parent->path, size) != 0)
		return NULL;
	if (parent->type == KEY_LIST) {
		if (strncmp(rest, "[]", 2) != 0)
			return NULL;
		rest += 2;
	}
	return *rest == '.' ? rest + 1 : NULL;
}

bool key_is_child(const struct key *key, const struct key *parent)
{
	const char *rest = path_below(key, parent);
	return rest && !strpbrk(rest, ".[");
}

const struct key *key_child(const struct key *parent, struct span name)
{
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		if (key_is_child(key, parent) && span_is(name, key_name(key)))
			return key;
	}
	return NULL;
}

const struct key *key_element(const struct key *list)
{
	size_t size = strlen(list->path);
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		if (strncmp(key->path, list->path, size) == 0 &&
		    strcmp(key->path + size, "[]") == 0)
			return key;
	}
	return NULL;
}

const char *key_name(const struct key *key)
{
	const char *dot = strrchr(key->path, '.');
	return dot ? dot + 1 : key->path;
}

#define NEAR_MOST 24 /* longest word that is compared */

/* Levenshtein distance, two rows. */
static unsigned distance(struct span a, struct span b)
{
	unsigned row[NEAR_MOST + 1];
	for (unsigned j = 0; j <= b.size; j++)
		row[j] = j;
	for (unsigned i = 1; i <= a.size; i++) {
		unsigned corner = row[0];
		row[0] = i;
		for (unsigned j = 1; j <= b.size; j++) {
			unsigned least = corner + (a.data[i - 1] != b.data[j - 1]);
			if (row[j] + 1 < least)
				least = row[j] + 1;
			if (row[j - 1] + 1 < least)
				least = row[j - 1] + 1;
			corner = row[j];
			row[j] = least;
		}
	}
	return row[b.size];
}

const struct key *key_near(const struct key *parent, struct span name)
{
	const struct key *best = NULL;
	unsigned best_distance = 3;
	if (name.size < 3 || name.size > NEAR_MOST)
		return NULL;
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		if (!key_is_child(key, parent))
			continue;
		unsigned d = distance(name, span_text(key_name(key)));
		if (d < best_distance) {
			best_distance = d;
			best = key;
		}
	}
	return best;
}
