#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "control/config.h"
#include "control/control.h"
#include "model/keys.h"

static const struct build_options alone;

static struct snapshot *parse_good(struct span bytes)
{
	struct text why = {0};
	struct snapshot *snapshot = NULL;
	int error = config_parse(bytes, "weft.yaml", &alone, &why, &snapshot);
	if (error)
		fail_msg("refused: %s", why.data);
	assert_null(why.data);
	return snapshot;
}

static void expect_refused(struct span bytes, const char *expected)
{
	struct text why = {0};
	struct snapshot *snapshot = NULL;
	long live = mem_live();
	int error = config_parse(bytes, "weft.yaml", &alone, &why, &snapshot);
	assert_int_equal(error, -EINVAL);
	assert_null(snapshot);
	assert_string_equal(why.data, expected);
	text_fini(&why);
	assert_int_equal(mem_live(), live);
}

/* ---- files that are wrong ---- */

struct bad {
	const char *yaml;
	const char *why;
};

static void each_wrong_key_or_value_is_named_with_its_line(void **state)
{
	static const struct bad cases[] = {
		{"workers: 99\n",
		 "weft.yaml:1: workers: \"99\" is not a whole number from 0 to 16\n"},
		{"\n\nworker: 1\n", "weft.yaml:3: worker: unknown key; did you mean workers?\n"},
		{"banana: 1\n", "weft.yaml:1: banana: unknown key\n"},
		{"timeouts: {conect: 1s}\n",
		 "weft.yaml:1: timeouts.conect: unknown key; did you mean connect?\n"},
		{"services:\n- {nam: a}\n",
		 "weft.yaml:2: services[].nam: unknown key; did you mean name?\n"
		 "weft.yaml:2: services[].name: is required and missing\n"
		 "weft.yaml:2: services[].addresses: is required and missing\n"
		 "weft.yaml:2: services[].ports: is required and missing\n"},
		{"services:\n- name: a\n  addresses: [10.0.0.1]\n  ports: [80]\n  endpoints:\n"
		 "  - {address: \"10.0.0.1:80\", wieght: 3}\n",
		 "weft.yaml:6: services[].endpoints[].wieght: unknown key; did you mean weight?\n"},
		{"workers: 1\nlog: {level: info}\nworkers: 2\n",
		 "weft.yaml:3: \"workers\": this key stands in line 1 already\n"},
		{"timeouts:\n  connect: 1s\n  drain: 1s\n  connect: 2s\n",
		 "weft.yaml:4: \"connect\": this key stands in line 2 already\n"},
		{"workers:\n", "weft.yaml:1: workers: has no value\n"},
		{"workers: null\n", "weft.yaml:1: workers: has no value\n"},
		{"workers: [1]\n",
		 "weft.yaml:1: workers: one value is expected here, not a list or map\n"},
		{"timeouts: 3\n", "weft.yaml:1: timeouts: a map of keys is expected here\n"},
		{"timeouts: [a]\n", "weft.yaml:1: timeouts: a map of keys is expected here\n"},
		{"services: web\n", "weft.yaml:1: services: a list is expected here\n"},
		{"services: {name: web}\n", "weft.yaml:1: services: a list is expected here\n"},
		{"services: [web]\n", "weft.yaml:1: services[]: a map of keys is expected here\n"},
		{"services:\n- name: a\n  addresses: [10.0.0.1]\n  ports: []\n",
		 "weft.yaml:4: services[].ports: has 0 elements; 1 to 256 are allowed\n"},
		{"services:\n- name: a\n  addresses: [10.0.0.1]\n  ports:\n",
		 "weft.yaml:4: services[].ports: has 0 elements; 1 to 256 are allowed\n"},
		{"services:\n- name: a\n  addresses:\n  - 10.0.0.1\n  - 10.0.0.300\n  ports: "
		 "[80]\n",
		 "weft.yaml:5: services[].addresses[]: \"10.0.0.300\" is not an address such as "
		 "10.0.0.1 or fd00::1\n"},
		{"services:\n- name: a\n  addresses: [10.0.0.1]\n  ports: [[80]]\n",
		 "weft.yaml:4: services[].ports[]: one value is expected here, not a list or "
		 "map\n"},
		{"pods:\n- name: p\n  addresses: [10.0.0.1, 10.0.0.2, 10.0.0.3]\n",
		 "weft.yaml:3: pods[].addresses: has 3 elements; 0 to 2 are allowed\n"},
		{"http: {via: \"yes\"}\n", "weft.yaml:1: http.via: \"yes\" is not true or false\n"},
		{"bpf: {pin_dir: \"/a\\0b\"}\n",
		 "weft.yaml:1: bpf.pin_dir: has a NUL character in its value\n"},
		{"admin: {socket: run/x}\n",
		 "weft.yaml:1: admin.socket: \"run/x\" is not an absolute path\n"},
		{"admin: {socket: \"\"}\n",
		 "weft.yaml:1: admin.socket: \"\" is not an absolute path\n"},
		{"log:\n  level: loud\n",
		 "weft.yaml:2: log.level: \"loud\" is not one of debug, info, warn, error\n"},
		{"\"wor\\nkers\": 1\n",
		 "weft.yaml:1: wor\\nkers: unknown key; did you mean workers?\n"},
		{"pods:\n- netns: /a\n  name: p\n  cgroup: /b\n",
		 "weft.yaml:2: pods[]: pod \"p\" needs exactly one of netns and cgroup, and has "
		 "both\n"},
		{"limits:\n  window: 64KiB\n  request_line_bytes: 128KiB\n",
		 "weft.yaml:3: limits.request_line_bytes: is larger than limits.header_bytes "
		 "(65536), "
		 "of which it is a part\n"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++)
		expect_refused(span_text(cases[i].yaml), cases[i].why);
}

#define ROUTE "routes:\n- name: r\n  rules:\n"

static void what_is_wrong_in_routes_is_named_with_its_line(void **state)
{
	static const struct bad cases[] = {
		{"routes: [{name: r}]\n", "weft.yaml:1: routes[].rules: is required and missing\n"},
		{"routes:\n- name: r\n  rules: []\n",
		 "weft.yaml:3: routes[].rules: has 0 elements; 1 to 64 are allowed\n"},
		{ROUTE "  - backend: []\n",
		 "weft.yaml:4: routes[].rules[].backend: unknown key; "
		 "did you mean backends?\n"},
		{ROUTE "  - name: x\n",
		 "weft.yaml:4: routes[].rules[].backends: are missing, and there is no redirect: "
		 "nobody would answer\n"},
		{ROUTE "  - backends: [{weight: 1}]\n",
		 "weft.yaml:4: routes[].rules[].backends[]: has neither: exactly one of service "
		 "and path is needed\n"},
		{ROUTE "  - backends: [{service: a}]\n    matches:\n    - path: {type: regex, "
		       "value: \"/a(\"}\n",
		 "weft.yaml:6: routes[].rules[].matches[].path.value: is no regular expression: "
		 "column 4: missing closing parenthesis\n"},
		{ROUTE "  - backends: [{service: a}]\n    matches:\n    - path: {value: /a/../b}\n",
		 "weft.yaml:6: routes[].rules[].matches[].path.value: \"/a/../b\" is not in the "
		 "normal form in which paths are compared: /b\n"},
		{ROUTE "  - filters: {redirect: {status: 305}}\n",
		 "weft.yaml:4: routes[].rules[].filters.redirect.status: 305 is not 301, 302, 303, "
		 "307 or 308\n"},
		{ROUTE "  - filters: {redirect: {port: 1}, rewrite: {hostname: a}}\n",
		 "weft.yaml:4: routes[].rules[].filters: redirect and rewrite: only one of them "
		 "can happen\n"},
		{ROUTE "  - filters: {redirect: {port: 1}}\n    backends: [{service: a}]\n",
		 "weft.yaml:4: routes[].rules[].backends: stand beside a redirect, which weft "
		 "answers itself\n"},
		{ROUTE "  - backends: [{service: a}]\n    filters:\n      request_headers:\n"
		       "        remove: [host]\n",
		 "weft.yaml:7: routes[].rules[].filters.request_headers: host is weft's to write; "
		 "see rewrite.hostname\n"},
		{ROUTE "  - backends: [{service: a}]\n    filters:\n      response_headers:\n"
		       "        set: [{name: a, value: b}]\n        remove: [A]\n",
		 "weft.yaml:8: routes[].rules[].filters.response_headers: A is changed twice\n"},
		{ROUTE
		 "  - backends: [{service: a}]\n    filters: {rewrite: {path: {type: prefix}}}"
		 "\n    matches: [{path: {type: exact, value: /a}}]\n",
		 "weft.yaml:4: routes[].rules[].filters: replace a prefix, but not every match is "
		 "one of a prefix\n"},
		{ROUTE "  - backends: [{service: a}]\n    timeouts: {request: 1s, backend_request: "
		       "2s}\n",
		 "weft.yaml:4: routes[].rules[].timeouts.backend_request: is longer than "
		 "timeouts.request, of which it is a part\n"},
		{ROUTE "  - backends: [{service: a}]\n    retry: {codes: [200]}\n",
		 "weft.yaml:5: routes[].rules[].retry.codes[]: \"200\" is not a whole number from "
		 "400 to 599\n"},
		{"identifiers:\n- {kind: static}\n",
		 "weft.yaml:2: identifiers[].path: is needed and "
		 "begins with /: what comes after /svc\n"},
		{"identifiers:\n- {kind: match, path: /a}\n",
		 "weft.yaml:2: identifiers[].matches: are what this kind goes by\n"},
		{"identifiers:\n- {kind: cookie}\n",
		 "weft.yaml:2: identifiers[].kind: \"cookie\" is not one of destination, "
		 "header_token, header, header_path, method_and_host, path, static, match\n"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++)
		expect_refused(span_text(cases[i].yaml), cases[i].why);
}

static void routes_are_read_from_yaml(void **state)
{
	static const char yaml[] =
		"services:\n- {name: web, addresses: [10.0.0.1], ports: [80]}\n"
		"routes:\n- name: shop\n  hostnames: [A.com, \"*.b.com\"]\n  services: [web, api]\n"
		"  rules:\n  - matches: [{path: {type: exact, value: /a}, method: GET}]\n"
		"    filters:\n      mirrors: [{service: web, fraction: {numerator: 1, "
		"denominator: 7}},"
		" {service: web, percent: 5}]\n"
		"    backends: [{service: web, weight: 9}, {path: /svc/api}, {service: gone, "
		"weight: 0}]\n"
		"    timeouts: {request: 2s, backend_request: 500ms}\n"
		"    retry: {codes: [502, 503], attempts: 0, backoff: 25ms}\n";
	(void)state;
	struct snapshot *snapshot = parse_good(span_text(yaml));
	const struct route_set *set = snapshot->routes;
	assert_int_equal(set->route_count, 1);
	const struct route *route = &set->routes[0];
	assert_int_equal(route->line, 4);
	assert_true(span_is(route->hostnames[0], "a.com"));
	assert_true(span_is(route->hostnames[1], "*.b.com"));
	assert_int_equal(route->service_count, 2);
	assert_int_equal(snapshot_route_scope(snapshot, snapshot->services[0]->id),
			 route->scopes[0]);
	const struct route_rule *rule = &route->rules[0];
	assert_int_equal(rule->weight_total, 10);
	assert_int_equal(rule->retry_attempts, 0);
	assert_int_equal(rule->retry_codes[1], 503);
	assert_int_equal(rule->backend_ns, 500000000);
	assert_int_equal(rule->filters.mirrors[0].denominator, 7);
	assert_int_equal(rule->filters.mirrors[1].numerator, 5);
	assert_int_equal(rule->filters.mirrors[1].denominator, 100);
	assert_int_equal(snapshot->backend_services[rule->backends[0].number],
			 snapshot->services[0]->id);
	assert_int_equal(snapshot->backend_services[rule->backends[2].number], 0);
	assert_true(span_is(rule->backends[1].path, "/svc/api"));
	snapshot_free(snapshot);
}

static void what_is_no_plain_yaml_is_refused_with_its_line(void **state)
{
	static const struct bad cases[] = {
		{"workers: [1\n",
		 "weft.yaml:2: this is not YAML: did not find expected ',' or ']' (while parsing a "
		 "flow sequence in line 1)\n"},
		{"a: 1\n\tb: 2\n",
		 "weft.yaml:2: this is not YAML: found a tab character that violates indentation "
		 "(while scanning a plain scalar in line 1)\n"},
		{"a: 'x\n",
		 "weft.yaml:2: this is not YAML: found unexpected end of stream (while scanning a "
		 "quoted scalar in line 1)\n"},
		{"workers: 1\n---\nworkers: 2\n",
		 "weft.yaml:2: a second document (---) in one file\n"},
		{"workers: !!int 1\n", "weft.yaml:1: tags (!name) are not supported\n"},
		{"log: !x {level: info}\n", "weft.yaml:1: tags (!name) are not supported\n"},
		{"log: &l {level: info}\nhttp: {<<: *l}\n",
		 "weft.yaml:2: <<: merging maps is not supported, write the keys out\n"},
		{"workers: *w\n", "weft.yaml:1: no anchor before here has the name \"w\"\n"},
		{"services: &s [*s]\n", "weft.yaml:1: an alias inside its own anchor\n"},
		{"&a workers: 1\n", "weft.yaml:1: a key cannot have an anchor\n"},
		{"log: &l {level: info}\n*l : 1\n",
		 "weft.yaml:2: a key cannot be an alias (*name)\n"},
		{"[a, b]: 1\n", "weft.yaml:1: a key must be a word, not a list or map\n"},
		{"- workers\n",
		 "weft.yaml:1: a config file is a map of keys, such as \"workers: 2\"\n"},
		{"\n# only\nhello\n",
		 "weft.yaml:3: a config file is a map of keys, such as \"workers: 2\"\n"},
		{"a: 1\nb: \"\xff\"\n",
		 "weft.yaml:2: byte 9 of the file, 0xff, is no text in UTF-8: invalid leading "
		 "UTF-8 "
		 "octet\n"},
		{"a: 1\n\nb: \x01\n",
		 "weft.yaml:3: byte 9 of the file, 0x01, is no text in UTF-8: control characters "
		 "are "
		 "not allowed\n"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++)
		expect_refused(span_text(cases[i].yaml), cases[i].why);
	static const char with_nul[] = "workers: 1\nlog: \0\n";
	expect_refused(span_of(with_nul, sizeof(with_nul) - 1),
		       "weft.yaml:2: byte 16 of the file, 0x00, is no text in UTF-8: control "
		       "characters are not allowed\n");
}

static void all_faults_are_told_at_once_in_the_order_of_lines(void **state)
{
	(void)state;
	expect_refused(
		span_text("services:\n"
			  "- name: web\n"
			  "  addresses: [10.0.0.1, 10.0.0.300]\n"
			  "  ports: [80]\n"
			  "- {name: b, addresses: [10.0.0.9], ports: [80]}\n"
			  "- {name: c, addresses: [10.0.0.9], ports: [80]}\n"
			  "pods:\n"
			  "- name: x\n"
			  "workers: many\n"),
		"weft.yaml:3: services[].addresses[]: \"10.0.0.300\" is not an address such as "
		"10.0.0.1 or fd00::1\n"
		"weft.yaml:6: services[].addresses: 10.0.0.9:80 of service \"c\" belongs to "
		"service "
		"\"b\" (line 5) already\n"
		"weft.yaml:8: pods[]: pod \"x\" needs exactly one of netns and cgroup, and has "
		"none\n"
		"weft.yaml:9: workers: \"many\" is not a whole number from 0 to 16\n");
}

static void faults_of_names_are_told_with_line_and_column(void **state)
{
	static const struct bad cases[] = {
		{"workers: 1\ndtab: |\n\n  # base\n  /svc => /#/fs ;\n  /a => (/b\n",
		 "weft.yaml:7: dtab: column 3: expected '|', '&' or ')', found the end\n"},
		{"dtab: |\n    /svc => /a\n    /b\n",
		 "weft.yaml:3: dtab: column 5: expected '|', '&' or ';', found '/'\n"},
		{"dtab: \"/svc => \"\n",
		 "weft.yaml:1: dtab: column 16: expected a path, '(', '~', '!' or '$', found the "
		 "end\n"},
		{"dtab: /svc => /a /b\n",
		 "weft.yaml:1: dtab: column 18: expected '|', '&' or ';', found '/'\n"},
		{"namers:\n- {kind: fs}\n",
		 "weft.yaml:2: namers[].root_dir: is needed where kind is fs: the folder whose "
		 "files are services\n"},
		{"namers:\n- {kind: rewrite, pattern: \"/{a\", name: /b}\n",
		 "weft.yaml:2: namers[].pattern: column 4: expected '}' after the name of the "
		 "capture, found the end\n"},
		{"namers:\n- {kind: rewrite, prefix: weft, pattern: \"/{a}\", name: \"/{a}\"}\n",
		 "weft.yaml:2: namers[].prefix: weft is what names the mesh's own services\n"},
		{"namers:\n- {kind: rewrite}\n",
		 "weft.yaml:2: namers[].pattern: and name are needed where kind is rewrite\n"},
		{"failover: {threshold: 101%}\n",
		 "weft.yaml:1: failover.threshold: \"101%\" is not a percentage such as 20, 0.5 or "
		 "99.9% from 0 to 100\n"},
	};
	(void)state;
	for (size_t i = 0; i < array_count(cases); i++)
		expect_refused(span_text(cases[i].yaml), cases[i].why);
}

static void twenty_faults_are_shown_and_the_rest_is_counted(void **state)
{
	struct text yaml = {0};
	struct text why = {0};
	struct snapshot *snapshot;
	unsigned lines = 0;
	(void)state;
	for (unsigned i = 0; i < 50; i++)
		text_printf(&yaml, "unknown%u: 1\n", i);
	assert_int_equal(config_parse(text_span(&yaml), "weft.yaml", &alone, &why, &snapshot),
			 -EINVAL);
	for (const char *c = why.data; *c; c++)
		lines += *c == '\n';
	assert_int_equal(lines, 21);
	assert_non_null(strstr(why.data, "weft.yaml:20: unknown19: unknown key\n"));
	assert_non_null(strstr(why.data, "\nweft.yaml: and 30 more\n"));
	text_fini(&yaml);
	text_fini(&why);
}

static void repeat(struct text *text, const char *part, unsigned times)
{
	for (unsigned i = 0; i < times; i++)
		text_add(text, span_text(part));
}

static void nesting_keys_and_anchors_are_bounded(void **state)
{
	struct text yaml = {0};
	(void)state;
	repeat(&yaml, "[", 33);
	repeat(&yaml, "]", 33);
	expect_refused(text_span(&yaml), "weft.yaml:1: nested more than 32 levels deep\n");
	text_clear(&yaml);
	repeat(&yaml, "[", 100000);
	expect_refused(text_span(&yaml), "weft.yaml:1: nested more than 32 levels deep\n");
	text_clear(&yaml);
	for (unsigned i = 0; i < 300; i++)
		text_printf(&yaml, "k%u: 1\n", i);
	expect_refused(text_span(&yaml), "weft.yaml:257: a map with more than 256 keys\n");
	text_clear(&yaml);
	text_add(&yaml, span_text("services:\n"));
	repeat(&yaml, "- &a 1\n", 300);
	expect_refused(text_span(&yaml), "weft.yaml:258: more than 256 anchors (&name)\n");
	text_fini(&yaml);
}

/* A pod with a thousand ports, and aliases to it. */
static void aliases_do_not_unfold_without_bound(void **state)
{
	struct text yaml = {0};
	(void)state;
	text_add(&yaml, span_text("pods:\n- &a\n  name: a\n  netns: /a\n"
				  "  skip_outbound_ports: [25"));
	repeat(&yaml, ",25", 1000);
	text_add(&yaml, span_text("]\n"));
	repeat(&yaml, "- *a\n", 2500);
	struct text why = {0};
	struct snapshot *snapshot;
	assert_int_equal(config_parse(text_span(&yaml), "weft.yaml", &alone, &why, &snapshot),
			 -EINVAL);
	assert_non_null(strstr(why.data, "aliases (*name) unfold to more than 2000000 values"));
	text_fini(&yaml);
	text_fini(&why);
}

/* ---- files that are right ---- */

static void check_full(const struct snapshot *snapshot)
{
	const struct service *web = snapshot_service_named(snapshot, span_text("web"));
	const struct pod *client = snapshot_pod_named(snapshot, span_text("client"));
	assert_int_equal(snapshot->settings.workers, 2);
	assert_int_equal(snapshot->settings.connect_timeout_ns, 250000000);
	assert_int_equal(snapshot->settings.drain_timeout_ns, 30000000000);
	assert_true(snapshot->settings.via);
	assert_true(snapshot->settings.log_json);
	assert_string_equal(snapshot->settings.log_level, "warn");
	assert_string_equal(snapshot->settings.admin_address, "");
	assert_non_null(web);
	assert_int_equal(web->protocol, PROTOCOL_HTTP);
	assert_int_equal(web->balancer, BALANCER_ROUND_ROBIN);
	assert_int_equal(web->address_count, 4);
	assert_int_equal(web->endpoint_count, 2);
	assert_int_equal(web->weight_total, 4);
	assert_non_null(client);
	assert_string_equal(client->netns_path, "/run/netns/client");
	assert_null(client->cgroup_path);
	assert_int_equal(client->on_proxy_death, ON_PROXY_DEATH_CLOSED);
	assert_true(client->captures_all);
	assert_int_equal(client->skip_ports.items[1], 26);
	assert_int_equal(client->skip_cidrs[0].prefix, 120);
	assert_int_equal(client->local4.ip[15], 5);
}

static void the_same_config_is_read_from_yaml_and_from_json(void **state)
{
	static const char yaml[] =
		"# a comment: \xe2\x82\xac\n"
		"workers: 2\n"
		"admin: {address: \"\"}\n"
		"log:\n"
		"  level: warn\n"
		"  format: json\n"
		"timeouts: {connect: 250ms}\n"
		"http: {via: true}\n"
		"services:\n"
		"  - name: web\n"
		"    addresses: [10.96.0.10, fd00:96::10]\n"
		"    ports: [80, 8080]\n"
		"    protocol: http\n"
		"    balancer: round_robin\n"
		"    endpoints:\n"
		"      - {address: \"10.0.0.2:8080\", weight: 3}\n"
		"      - address: \"[fd00::2]:8080\"\n"
		"pods:\n"
		"  - name: client\n"
		"    netns: /run/netns/client\n"
		"    addresses: [10.0.0.5]\n"
		"    on_proxy_death: closed\n"
		"    capture: all\n"
		"    skip_outbound_ports: [25, 26]\n"
		"    skip_outbound_cidrs: [192.0.2.0/24]\n";
	static const char json[] =
		"{\"workers\":2,\"admin\":{\"address\":\"\"},\r\n"
		"\t\"log\":{\"level\":\"warn\",\"format\":\"json\"},\r\n"
		"\"timeouts\":{\"connect\":\"250ms\"},\"http\":{\"via\":true},"
		"\"services\":[{\"name\":\"w\\u0065b\",\"addresses\":[\"10.96.0.10\",\"fd00:96::"
		"10\"],"
		"\"ports\":[80,8080],\"protocol\":\"http\",\"balancer\":\"round_robin\","
		"\"endpoints\":[{\"address\":\"10.0.0.2:8080\",\"weight\":3},"
		"{\"address\":\"[fd00::2]:8080\"}]}],"
		"\"pods\":[{\"name\":\"client\",\"netns\":\"\\/run\\/netns\\/client\","
		"\"addresses\":[\"10.0.0.5\"],\"on_proxy_death\":\"closed\",\"capture\":\"all\","
		"\"skip_outbound_ports\":[25,26],\"skip_outbound_cidrs\":[\"192.0.2.0/24\"]}]}\n";
	static const char *const texts[] = {yaml, json};
	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		struct snapshot *snapshot = parse_good(span_text(texts[i]));
		check_full(snapshot);
		snapshot_free(snapshot);
	}
}

static void an_empty_config_is_all_defaults(void **state)
{
	static const char *const texts[] = {
		"",
		"\n\n",
		"# nothing\n",
		"---\n",
		"---\n...\n",
		"{}",
		"~\n",
		"\xef\xbb\xbf# mark\n",
		"timeouts:\nservices:\npods: ~\n",
		"bpf: {cgroup_root: }\n",
		"workers: 0\r\n",
	};
	(void)state;
	for (size_t i = 0; i < array_count(texts); i++) {
		struct snapshot *snapshot = parse_good(span_text(texts[i]));
		assert_int_equal(snapshot->service_count, 0);
		assert_int_equal(snapshot->pod_count, 0);
		assert_int_equal(snapshot->settings.connect_attempts, 3);
		assert_string_equal(snapshot->settings.control_socket, "/run/weft/weftd.sock");
		snapshot_free(snapshot);
	}
}

static void aliases_stand_for_their_anchor(void **state)
{
	(void)state;
	struct snapshot *snapshot =
		parse_good(span_text("services:\n"
				     "- {name: a, addresses: [10.0.0.1], ports: &p [80, 81]}\n"
				     "- {name: b, addresses: [10.0.0.2], ports: *p}\n"));
	assert_int_equal(snapshot_service_named(snapshot, span_text("b"))->address_count, 2);
	snapshot_free(snapshot);
}

static void the_reference_is_a_config_of_defaults(void **state)
{
	struct text page = {0};
	struct draft defaults = {0};
	(void)state;
	keys_print_reference(&page);
	keys_set_defaults(NULL, &defaults);
	struct snapshot *snapshot = parse_good(text_span(&page));
	for (size_t i = 0; i < keys_count(); i++) {
		const struct key *key = keys_at(i);
		struct text said = {0};
		struct text expected = {0};
		if (strchr(key->path, '['))
			continue;
		key_print(key, &snapshot->settings, &said);
		key_print(key, &defaults, &expected);
		assert_true(span_equal(text_span(&said), text_span(&expected)));
		text_fini(&said);
		text_fini(&expected);
	}
	assert_int_equal(snapshot->service_count, 1);
	assert_int_equal(snapshot->pod_count, 1);
	assert_int_equal(snapshot->services[0]->protocol, PROTOCOL_AUTO);
	assert_int_equal(snapshot->services[0]->balancer, BALANCER_EWMA);
	assert_int_equal(snapshot->pods[0]->on_proxy_death, ON_PROXY_DEATH_OPEN);
	snapshot_free(snapshot);
	text_fini(&page);
}

/* ---- files ---- */

static char folder[64];

static int make_folder(void **state)
{
	(void)state;
	snprintf(folder, sizeof(folder), "/tmp/weft-config-%d-XXXXXX", getpid());
	return mkdtemp(folder) ? 0 : -1;
}

static int remove_folder(void **state)
{
	char path[128];
	(void)state;
	snprintf(path, sizeof(path), "%s/c.yaml", folder);
	unlink(path);
	return rmdir(folder);
}

static void expect_unreadable(const char *path, int expected, const char *sentence)
{
	struct text why = {0};
	struct snapshot *snapshot = NULL;
	char line[256];
	assert_int_equal(config_read(path, &why, &snapshot), expected);
	snprintf(line, sizeof(line), "%s: %s\n", path, sentence);
	assert_string_equal(why.data, line);
	text_fini(&why);
}

static void a_file_that_cannot_be_read_says_why(void **state)
{
	char path[128];
	(void)state;
	snprintf(path, sizeof(path), "%s/c.yaml", folder);
	expect_unreadable(path, -ENOENT, "cannot be read: No such file or directory");
	expect_unreadable(folder, -EINVAL, "is not a regular file");
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	assert_int_equal(ftruncate(fileno(file), CONFIG_BYTES_MOST + 1), 0);
	fclose(file);
	expect_unreadable(path, -EFBIG, "is larger than 16 MiB");
}

static void any_allocation_may_fail_while_a_file_is_read(void **state)
{
	char path[128];
	struct text page = {0};
	int error = -ENOMEM;
	unsigned long n = 0;
	(void)state;
	snprintf(path, sizeof(path), "%s/c.yaml", folder);
	keys_print_reference(&page);
	FILE *file = fopen(path, "w");
	assert_non_null(file);
	fwrite(page.data, 1, page.size, file);
	fclose(file);
	text_fini(&page);
	long live = mem_live();
	while (error) {
		struct text why = {0};
		struct snapshot *snapshot = NULL;
		mem_fail_nth(++n);
		error = config_read(path, &why, &snapshot);
		mem_fail_nth(0);
		assert_true(error == 0 || error == -ENOMEM);
		snapshot_free(snapshot);
		text_fini(&why);
		assert_int_equal(mem_live(), live);
	}
	assert_true(n > 20);
}

static void any_allocation_may_fail_while_faults_are_told(void **state)
{
	static const char yaml[] =
		"worker: 1\ntimeouts: {connect: never}\nservices: [{name: a}]\n"
		"pods: [{name: b}]\n";
	long live = mem_live();
	(void)state;
	for (unsigned long n = 1; n < 40; n++) {
		struct text why = {0};
		struct snapshot *snapshot = NULL;
		mem_fail_nth(n);
		int error = config_parse(span_text(yaml), "weft.yaml", &alone, &why, &snapshot);
		mem_fail_nth(0);
		assert_true(error == -EINVAL || error == -ENOMEM);
		assert_null(snapshot);
		text_fini(&why);
		assert_int_equal(mem_live(), live);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_wrong_key_or_value_is_named_with_its_line),
		cmocka_unit_test(what_is_wrong_in_routes_is_named_with_its_line),
		cmocka_unit_test(routes_are_read_from_yaml),
		cmocka_unit_test(what_is_no_plain_yaml_is_refused_with_its_line),
		cmocka_unit_test(faults_of_names_are_told_with_line_and_column),
		cmocka_unit_test(all_faults_are_told_at_once_in_the_order_of_lines),
		cmocka_unit_test(twenty_faults_are_shown_and_the_rest_is_counted),
		cmocka_unit_test(nesting_keys_and_anchors_are_bounded),
		cmocka_unit_test(aliases_do_not_unfold_without_bound),
		cmocka_unit_test(the_same_config_is_read_from_yaml_and_from_json),
		cmocka_unit_test(an_empty_config_is_all_defaults),
		cmocka_unit_test(aliases_stand_for_their_anchor),
		cmocka_unit_test(the_reference_is_a_config_of_defaults),
		cmocka_unit_test_setup_teardown(a_file_that_cannot_be_read_says_why, make_folder,
						remove_folder),
		cmocka_unit_test_setup_teardown(any_allocation_may_fail_while_a_file_is_read,
						make_folder, remove_folder),
		cmocka_unit_test(any_allocation_may_fail_while_faults_are_told),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
