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
	{"namers[].kind", KEY_CHOICE, NUMBER(struct namer_draft, kind), .choices = "fs|rewrite",
	 .fallback = "fs",
	 .meaning = "fs: files with lines HOST PORT [* WEIGHT], one file for each service; "
		    "rewrite: a name with captures becomes another name."},
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
