/* Keys of names: the dtab, namers, failover. linkerd1.md 1.8, 1.11. */
#include "model/keys_table.h"

const struct key naming_keys[] = {
	{"dtab", KEY_DTAB, .store = KEY_STORE_PLACED, FIELD(struct draft, dtab),
	 .flags = KEY_MAY_BE_EMPTY, .most = DTAB_BYTES_MAX, .fallback = "",
	 .meaning =
		 "What names of requests, /svc/SERVICE, stand for: entries PREFIX => TREE with ; "
		 "between them, the last that matches first. Before them all comes /svc => "
		 "/#/weft: the services above."},
	{"namers", MAPS(struct draft, namers, struct namer_draft), .most = NAMERS_MAX - 1,
	 .meaning =
		 "Who knows names below /#/PREFIX, beside weft, which knows the services above."},
	{"namers[].kind", KEY_CHOICE, NUMBER(struct namer_draft, kind),
	 .choices = "fs|rewrite|dns|dns_srv", .fallback = "fs",
	 .meaning = "fs: files with lines HOST PORT [* WEIGHT], one file for each service; "
		    "rewrite: a name with captures becomes another name; dns: /HOST/PORT, by A and "
		    "AAAA; dns_srv: /NAME, by SRV."},
	{"namers[].prefix", KEY_TEXT, TEXT(struct namer_draft, prefix), .most = 128,
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "",
	 .meaning = "Names below /#/PREFIX are for it; \"\" is its kind."},
	{"namers[].root_dir", KEY_PATH, TEXT(struct namer_draft, root_dir), RANGE(0, 4095),
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "", .example = "/etc/weft/services",
	 .meaning = "fs: the folder; a change of a file counts at once."},
	{"namers[].pattern", KEY_TEXT, TEXT(struct namer_draft, pattern), .most = 1024,
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "", .example = "/{ns}/{svc}",
	 .meaning = "rewrite: such as /{ns}/{svc}; what follows is appended to the new name."},
	{"namers[].name", KEY_TEXT, TEXT(struct namer_draft, name), .most = 1024,
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "", .example = "/#/weft/{svc}-{ns}",
	 .meaning = "rewrite: the new name, such as /#/weft/{svc}-{ns}."},
	{"namers[].domain", KEY_TEXT, TEXT(struct namer_draft, domain), .most = 253,
	 .flags = KEY_MAY_BE_EMPTY, .fallback = "", .example = "svc.cluster.local",
	 .meaning = "dns, dns_srv: appended to names that do not end with a dot."},
	{"namers[].servers", VALUES(struct namer_draft, servers), .most = 16,
	 .meaning = "dns, dns_srv: who is asked, the next one when one fails; none: those of "
		    "/etc/resolv.conf."},
	{"namers[].servers[]", KEY_IP, .example = "10.96.0.10",
	 .meaning = "An address of a DNS server."},
	{"namers[].server_port", KEY_INTEGER, NUMBER(struct namer_draft, server_port),
	 RANGE(1, 65535), .fallback = "53", .meaning = "dns, dns_srv: of all `servers`."},
	{"namers[].family", KEY_CHOICE, NUMBER(struct namer_draft, family),
	 .choices = "auto|ipv4|ipv6|both", .fallback = "auto",
	 .meaning = "dns, dns_srv: which addresses of a host count; auto: those of IPv6 where "
		    "there are none of IPv4."},
	{"namers[].names", KEY_INTEGER, NUMBER(struct namer_draft, names_most), RANGE(1, 4096),
	 .fallback = "256",
	 .meaning = "dns, dns_srv: names that are kept at a time. The one unused for longest makes "
		    "room, but none that was used within 10 s or that stands in `dtab`; for what "
		    "stands there also one that was used."},
	{"namers[].timeout", KEY_DURATION, NUMBER(struct namer_draft, timeout_ns),
	 RANGE(10 * MS, 60 * SEC), .fallback = "2s",
	 .meaning = "dns, dns_srv: for a server's answer; asked twice, the second time for twice "
		    "as long."},
	{"namers[].refresh", KEY_DURATION, NUMBER(struct namer_draft, refresh_ns),
	 RANGE(100 * MS, DAY), .flags = KEY_MAY_BE_ZERO, .fallback = "0s",
	 .meaning =
		 "dns, dns_srv: names are asked for again after so long, up to a tenth more; 0s: "
		 "after the TTL of the answer."},
	{"namers[].ttl_min", KEY_DURATION, NUMBER(struct namer_draft, ttl_min_ns),
	 RANGE(100 * MS, DAY), .fallback = "1s",
	 .meaning =
		 "dns, dns_srv: shorter TTLs count as this; also the wait after a first failure."},
	{"namers[].ttl_max", KEY_DURATION, NUMBER(struct namer_draft, ttl_max_ns),
	 RANGE(100 * MS, DAY), .fallback = "5m",
	 .meaning = "dns, dns_srv: longer TTLs count as this."},
	{"failover", KEY_MAP,
	 .meaning = "When an alternate of a name (A | B) is taken at run time."},
	{"failover.threshold", KEY_PERCENT, SETTING(failover_ppm), RANGE(0, 1000000),
	 .fallback = "0",
	 .meaning = "A service is down while fewer of its ready endpoints are not ejected by its "
		    "breaker; without any it is down in any case."},
	{"failover.back_after", KEY_DURATION, SETTING(failover_back_ns), RANGE(0, DAY),
	 .fallback = "10s", .meaning = "It gets requests again when it was not down for so long."},
};

const size_t naming_key_count = array_count(naming_keys);
