#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <stdio.h>

#include "policy/rewrite_namer.h"
#include "policy/tests/naming.h"

struct naming_case {
	const char *dtab;
	const char *name;
	const char *bound;
};

static const char *const k8s_names[] = {"/default/http/hello",    "/default/http/world-v1",
					"/default/http/world-v2", "/default/http/api",
					"/default/http/web",      "/prod/http/web",
					"/default/grpc/Hello",    "/default/grpc/world-v1",
					"/default/admin/l5d",     NULL};

static void check_cases(struct naming *naming, const struct naming_case *cases, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		struct naming one = *naming;
		naming_dtab(&one, cases[i].dtab);
		const char *bound = naming_eval(&one, cases[i].name);
		if (strcmp(bound, cases[i].bound) != 0)
			fail_msg("\"%s\" makes of %s: %s, not %s", cases[i].dtab, cases[i].name,
				 bound, cases[i].bound);
		naming_fini(&one);
	}
	assert_int_equal(mem_live(), 0);
}

#define A "/$/inet/10.0.0.1/80"
#define B "/$/inet/10.0.0.2/80"
#define C "/$/inet/10.0.0.3/80"

static void rules_are_applied_as_the_reference_says(void **state)
{
	(void)state;
	static const struct naming_case cases[] = {
		/* D1: prefixes, residuals, wildcards */
		{"", "/svc", "~"},
		{"/svc => " A, "/svc", A},
		{"/svc => " A, "/svc/x/y", A},
		{"/svc => " A, "/svcx", "~"},
		{"/svc/web => " A, "/svc", "~"},
		{"/svc => /$/inet", "/svc/10.0.0.1/80", A},
		{"/svc => /$/inet & 2 * /$/io.buoyant.rinet/80", "/svc/h/80",
		 "/$/inet/h/80 & 2 * /$/io.buoyant.rinet/80/h"},
		{"/ => " A, "/any/thing", "too deep: more than 100 look-ups one below the other"},
		{"/ => !", "/any/thing", "!"},
		{"/svc/*/80 => " A, "/svc/web/80", A},
		{"/svc/*/80 => " A, "/svc/web/81", "~"},
		{"/svc/* => /$/inet/h", "/svc/web/80", "/$/inet/h/80"},
		{"/*/*/80 => /$/nil", "/svc/h/80/r", "$"},
		{"/svc/a\\x20b => " A, "/svc/a\\x20b", A},
		{"/svc => /$/inet/a\\x20b/80", "/svc", "/$/inet/a\\x20b/80"},
		/* D2: the last first, all that match as alternates */
		{"/svc => " A "; /svc => " B, "/svc", B " | " A},
		{"/svc => " A "; /svc => ~", "/svc", A},
		{"/svc => " A "; /svc => /none", "/svc", A},
		{"/svc => " A "; /svc => !", "/svc", "!"},
		{"/svc => " A "; /svc => $", "/svc", "$"},
		{"/svc => " A "; /svc/x => " B "; /svc/y => " C, "/svc/x", B " | " A},
		{"/svc => ! ; /svc => " B " ; /svc => " C, "/svc", C " | " B " | !"},
		/* D5 */
		{"/svc => " A " | " B, "/svc", A " | " B},
		{"/svc => ~ | " B, "/svc", B},
		{"/svc => /unknown | ~ | " B, "/svc", B},
		{"/svc => ! | " B, "/svc", "!"},
		{"/svc => $ | " B, "/svc", "$"},
		{"/svc => " A " | ! | " B, "/svc", A " | !"},
		{"/svc => " A " | $ | " B, "/svc", A " | $"},
		{"/svc => ~ | ~", "/svc", "~"},
		{"/svc => (" A " | " B ") | " C, "/svc", A " | " B " | " C},
		{"/svc => (" A " | !) | " C, "/svc", A " | !"},
		{"/svc => (~ | " A ") | " C, "/svc", A " | " C},
		/* D6 */
		{"/svc => " A " & " B, "/svc", A " & " B},
		{"/svc => 1 * " A " & 9 * " B, "/svc", A " & 9 * " B},
		{"/svc => 9 * " A " & .5 * " B " & 0 * " C, "/svc",
		 "9 * " A " & 0.5 * " B " & 0 * " C},
		{"/svc => 2 * " A " & 3 * ~", "/svc", A},
		{"/svc => 2 * " A " & 3 * !", "/svc", A},
		{"/svc => 2 * " A " & 3 * $", "/svc", "2 * " A " & 3 * $"},
		{"/svc => $ & $", "/svc", "$"},
		{"/svc => ! & !", "/svc", "~"},
		{"/svc => ! & ~ | " A, "/svc", A},
		{"/svc => " A " & " B " | " C, "/svc", A " & " B " | " C},
		{"/svc => 2 * (" A " | " B ") & " C, "/svc", "2 * (" A " | " B ") & " C},
		{"/svc => 2 * (" A " & " B ") & " C, "/svc", "2 * (" A " & " B ") & " C},
		{"/svc => 2 * (" A " & ~) & " C, "/svc", "2 * " A " & " C},
		{"/svc => 3 * /x & 4 * /y; /x => 5 * " A " & 6 * " B "; /y => " C, "/svc",
		 "3 * (5 * " A " & 6 * " B ") & 4 * " C},
		/* D4 */
		{"/svc => /svc", "/svc", "too deep: more than 100 look-ups one below the other"},
		{"/svc => /svc/x | " A, "/svc",
		 "too deep: more than 100 look-ups one below the other"},
		{"/svc => " A "; /loop => /loop; /svc => /loop & " B, "/svc", B " | " A},
		{"/loop => /loop; /svc => /loop & ~", "/svc", "~"},
		{"/loop => /loop; /svc => /loop & /loop", "/svc",
		 "too deep: more than 100 look-ups one below the other"},
		{"/svc => /svc/a & /svc/b", "/svc", "too much work: the dtab multiplies names"},
		{"/svc => /svc | /svc", "/svc",
		 "too deep: more than 100 look-ups one below the other"},
		/* D8: entries go before namers, and keep them from being asked */
		{"/# => " A, "/#/k8s/default/http/web", A},
		{"/$/inet => " A, "/$/inet/x/1",
		 "too deep: more than 100 look-ups one below the other"},
		{"/$/inet/x => " A, "/$/inet/x/1", A},
		{"/svc => /#/k8s/default/http", "/svc/web/rest", "/#/k8s/default/http/web"},
		{"/svc => /#/k8s/default/http", "/svc/none", "~"},
		{"/svc => /#/other/default/http | " A, "/svc/web", A},
	};
	struct naming naming = {0};
	naming_namer(&naming, "k8s", naming_table_look_up, (void *)k8s_names);
	check_cases(&naming, cases, array_count(cases));
}

static void utility_names_rewrite_and_bind(void **state)
{
	(void)state;
#define HTTP "/$/io.buoyant.http."
	static const struct naming_case cases[] = {
		{"", "/$/inet/10.0.0.1/80", A},
		{"", "/$/inet/::1/80/rest", "/$/inet/::1/80"},
		{"", "/$/inet/8080", "/$/inet/8080"},
		{"", "/$/inet/8080/rest", "/$/inet/8080"},
		{"", "/$/inet/80/81", "/$/inet/80/81"},
		{"", "/$/fixedinet/h/80", "/$/fixedinet/h/80"},
		{"", "/$/inet/h", "~"},
		{"", "/$/inet/h/0", "~"},
		{"", "/$/inet/h/65536", "~"},
		{"", "/$/inet", "~"},
		{"", "/$", "~"},
		{"", "/$/none/x", "~"},
		{"", "/$/nil", "$"},
		{"", "/$/nil/x", "$"},
		{"", "/$/fail/x", "!"},
		{"", "/$/io.buoyant.rinet/80/h/rest", "/$/io.buoyant.rinet/80/h"},
		{"", "/$/rinet/80/h", "/$/io.buoyant.rinet/80/h"},
		{"", "/$/io.buoyant.rinet/80", "~"},
		{"", "/$/io.buoyant.rinet/h/80", "~"},
		{"", HTTP "status/404/x", HTTP "status/404"},
		{"", HTTP "status/600", "~"},
		{"", HTTP "status/99", "~"},
		{"/p => /$/inet", "/$/io.buoyant.hostportPfx/p/h:80/x", "/$/inet/h/80"},
		{"/p => /$/inet", "/$/hostportPfx/p/h:80/x", "/$/inet/h/80"},
		{"/p => " A, "/$/io.buoyant.hostportPfx/p/h", "~"},
		{"/p => " A, "/$/io.buoyant.hostportPfx/p/h:", "~"},
		{"/p => " A, "/$/io.buoyant.hostportPfx/p/:80", "~"},
		{"/p => " A, "/$/io.buoyant.hostportPfx/p/a:b:80", "~"},
		{"/p => " A, "/$/io.buoyant.hostportPfx/p/h:HTTP", "~"},
		{"/p => " A, "/$/io.buoyant.hostportPfx/p/h:-x", "~"},
		{"/p/h/my-port => " A, "/$/io.buoyant.hostportPfx/p/h:my-port", A},
		{"/p => /$/io.buoyant.rinet", "/$/io.buoyant.porthostPfx/p/h:80",
		 "/$/io.buoyant.rinet/80/h"},
		{"/p => " A,
		 "/$/io.buoyant.porthostPfx/p/"
		 "h:0123456789012345678901234567890123456789012345678901234567890123",
		 "~"},
		{"/x/y => " A, HTTP "anyMethod/GET/x/y", A},
		{"/x/y => " A, HTTP "anyMethod/Get/x/y", "~"},
		{"/x/y => " A, HTTP "anyMethod", "~"},
		{"/p/y => " A, HTTP "anyMethodPfx/p/GET/y", A},
		{"/x => " A, HTTP "anyHost/a.b:80/x", A},
		{"/x => " A, HTTP "anyHost/a$b/x", "~"},
		{"/p/x => " A, HTTP "anyHostPfx/p/a.b/x", A},
		{"/foo/x => " A, HTTP "subdomainOf/a.io/foo.a.io:80/x", A},
		{"/foo => " A, HTTP "subdomainOf/a.io/foo.b.io", "~"},
		{"/foo => " A, HTTP "subdomainOf/a.io/a.io", "~"},
		{"/foo => " A, HTTP "subdomainOf/a.io/.a.io", "~"},
		{"/foo => " A, HTTP "subdomainOf/a.io/foo-a.io", "~"},
		{"/p/foo.b/x => " A, HTTP "subdomainOfPfx/a.io/p/foo.b.a.io/x", A},
		{"/c/b/a/x => " A, HTTP "domainToPath/a.b.c/x", A},
		{"/c/b/a => " A, HTTP "domainToPath/a.b.c.", A},
		{"/c => " A, HTTP "domainToPath/a..c", "~"},
		{"/c => " A, HTTP "domainToPath/.c", "~"},
		{"/c => " A, HTTP "domainToPath/.", "~"},
		{"/p/c/b/a/x => " A, HTTP "domainToPathPfx/p/a.b.c/x", A},
		{"/p/a => " A, "/$/domainToPathPfx/p/a", A},
		{"/p => " A, HTTP "domainToPathPfx/p", "~"},
		{"/host => " HTTP "domainToPathPfx/domain; /domain => " HTTP "status/200",
		 "/host/a.b", HTTP "status/200"},
	};
	struct naming naming = {0};
	check_cases(&naming, cases, array_count(cases));
}

#define K8S "/#/io.l5d.k8s/default/http"

static void tutorials_resolve_as_they_say(void **state)
{
	(void)state;
#define PART_ONE                                                                                   \
	"/srv => /#/io.l5d.k8s/default/http; /host => /srv; /svc => /host;"                        \
	"/host/world => /srv/world-v1"
#define NAMERD                                                                                     \
	"/srv => /#/io.l5d.k8s/default/http; /host => /srv; /tmp => /srv; /svc => /host;"          \
	"/host/world => "
#define INGRESS                                                                                    \
	"/srv => /#/io.l5d.k8s/default/http; /domain/world/hello/www => /srv/hello;"               \
	"/domain/world/hello/api => /srv/api;"                                                     \
	"/host => /$/io.buoyant.http.domainToPathPfx/domain;"
#define GRPC                                                                                       \
	"/srv => /#/io.l5d.k8s/default/grpc; /grpc => /srv; /grpc/World => /srv/world-v1;"         \
	"/svc => /$/io.buoyant.http.domainToPathPfx/grpc"
#define EGRESS                                                                                     \
	"/ph => /$/io.buoyant.rinet ; # DNS\n/svc => /ph/80 ;\n"                                   \
	"/svc => /$/io.buoyant.porthostPfx/ph ;\n/srv => /#/io.l5d.k8s.ds/default/http ;\n"        \
	"/svc => /srv ;\n/svc/world => /srv/world-v1 ;"
#define SERVICEMESH                                                                                \
	"/ph => /$/io.buoyant.rinet ; /svc => /ph/80 ; /svc => /$/io.buoyant.porthostPfx/ph ;"     \
	"/k8s => /#/io.l5d.k8s ; /portNsSvc => /#/portNsSvcToK8s ;"                                \
	"/host => /portNsSvc/http/default ; /host => /portNsSvc/http ;"                            \
	"/svc => /$/io.buoyant.http.domainToPathPfx/host ;"
	static const struct naming_case cases[] = {
		{PART_ONE, "/svc/hello", K8S "/hello"},
		{PART_ONE, "/svc/world", K8S "/world-v1"},
		{PART_ONE, "/svc/none", "~"},
		{PART_ONE "; /svc=>/#/io.l5d.k8s/default/admin/l5d;", "/svc/10.0.0.1:4141",
		 "/#/io.l5d.k8s/default/admin/l5d"},
		{NAMERD "/srv/world-v1", "/svc/world", K8S "/world-v1"},
		{NAMERD "/srv/world-v1; /host/world => /tmp/world-v2", "/svc/world",
		 K8S "/world-v2 | " K8S "/world-v1"},
		{NAMERD "1 * /tmp/world-v2 & 9 * /tmp/world-v1", "/svc/world",
		 K8S "/world-v2 & 9 * " K8S "/world-v1"},
		{NAMERD "/tmp/world-v2 | /tmp/world-v1", "/svc/world",
		 K8S "/world-v2 | " K8S "/world-v1"},
		{NAMERD "/tmp/world-v3 | /tmp/world-v1", "/svc/world", K8S "/world-v1"},
		{NAMERD "1 * /tmp/world-v3 & 9 * /tmp/world-v1", "/svc/world", K8S "/world-v1"},
		{"/host => /#/io.l5d.k8s/default/http/hello; /svc/* => /host", "/svc/1.2.3.4",
		 K8S "/hello"},
		{INGRESS "/svc => /host", "/svc/www.hello.world", K8S "/hello"},
		{INGRESS "/svc => /host", "/svc/api.hello.world", K8S "/api"},
		{INGRESS "/svc => /host", "/svc/other.hello.world", "~"},
		{INGRESS "/host => /srv; /host/world => /srv/world-v1; /svc => /host", "/svc/world",
		 K8S "/world-v1"},
		{INGRESS "/host => /srv; /host/world => /srv/world-v1; /svc => /host",
		 "/svc/www.hello.world", K8S "/hello"},
		{INGRESS "/host => /srv; /host/world => /srv/world-v1; /svc => /host;"
			 "/host/world => /srv/world-v2;",
		 "/svc/world", K8S "/world-v2 | " K8S "/world-v1"},
		{"/svc => /#/io.l5d.k8s", "/svc/default/http/world-v2", K8S "/world-v2"},
		{GRPC, "/svc/Hello", "/#/io.l5d.k8s/default/grpc/Hello"},
		{GRPC, "/svc/World", "/#/io.l5d.k8s/default/grpc/world-v1"},
		{GRPC, "/svc/helloworld.Hello", "/#/io.l5d.k8s/default/grpc/Hello"},
		{EGRESS, "/svc/hello",
		 "/#/io.l5d.k8s.ds/default/http/hello | /$/io.buoyant.rinet/80/hello"},
		{EGRESS, "/svc/world",
		 "/#/io.l5d.k8s.ds/default/http/world-v1 | /$/io.buoyant.rinet/80/world"},
		{EGRESS, "/svc/linkerd.io", "/$/io.buoyant.rinet/80/linkerd.io"},
		{EGRESS, "/svc/linkerd.io:443",
		 "/$/io.buoyant.rinet/443/linkerd.io | /$/io.buoyant.rinet/80/linkerd.io:443"},
		{SERVICEMESH, "/svc/web", K8S "/web | /$/io.buoyant.rinet/80/web"},
		{SERVICEMESH, "/svc/web.prod",
		 "/#/io.l5d.k8s/prod/http/web | /$/io.buoyant.rinet/80/web.prod"},
		{SERVICEMESH, "/svc/a.b", "/$/io.buoyant.rinet/80/a.b"},
		{SERVICEMESH, "/svc/a.b:8080",
		 "/$/io.buoyant.rinet/8080/a.b | /$/io.buoyant.rinet/80/a.b:8080"},
		{"/hp => /$/inet ; /svc => /$/io.buoyant.hostportPfx/hp ;"
		 "/srv => /#/io.l5d.k8s/default/grpc;"
		 "/svc => /$/io.buoyant.http.domainToPathPfx/srv",
		 "/svc/linkerd.io:8888", "/$/inet/linkerd.io/8888"},
	};
	struct rewrite_namer *rewrite;
	struct rewrite_namer_error where;
	struct naming naming = {0};
	assert_int_equal(rewrite_namer_parse(span_text("/{port}/{ns}/{svc}"),
					     span_text("/k8s/{ns}/{port}/{svc}"), &rewrite, &where),
			 0);
	naming_namer(&naming, "io.l5d.k8s", naming_table_look_up, (void *)k8s_names);
	naming_namer(&naming, "io.l5d.k8s.ds", naming_table_look_up, (void *)k8s_names);
	naming_namer(&naming, "portNsSvcToK8s", rewrite_namer_look_up, rewrite);
	long live = mem_live();
	for (size_t i = 0; i < array_count(cases); i++) {
		struct naming one = naming;
		naming_dtab(&one, cases[i].dtab);
		const char *bound = naming_eval(&one, cases[i].name);
		if (strcmp(bound, cases[i].bound) != 0)
			fail_msg("%s: %s, not %s", cases[i].name, bound, cases[i].bound);
		naming_fini(&one);
		assert_int_equal(mem_live(), live);
	}
	rewrite_namer_free(rewrite);
}

static void entries_of_the_request_come_after_the_base(void **state)
{
	(void)state;
	struct naming naming = {0};
	naming_dtab(&naming, "/svc => " A);
	naming_dtab(&naming, "/svc => " B);
	naming_dtab(&naming, "/svc/x => " C);
	assert_string_equal(naming_eval(&naming, "/svc"), B " | " A);
	assert_string_equal(naming_eval(&naming, "/svc/x"), C " | " B " | " A);
	naming_fini(&naming);
}

static void a_hundred_look_ups_are_allowed_and_no_more(void **state)
{
	(void)state;
	for (int entries = DELEGATE_DEPTH_MAX - 1; entries <= DELEGATE_DEPTH_MAX; entries++) {
		struct naming naming = {0};
		struct text text = {0};
		for (int i = 0; i < entries; i++) {
			text_printf(&text, "/n%d => ", i);
			if (i + 1 < entries)
				text_printf(&text, "/n%d;", i + 1);
		}
		text_add(&text, span_text(A)); /* whose look-up is one more */
		naming_dtab(&naming, text.data);
		struct bound_name *bound = naming_bind(&naming, "/n0", NULL);
		assert_int_equal(bound->state,
				 entries < DELEGATE_DEPTH_MAX ? DELEGATE_BOUND : DELEGATE_TOO_DEEP);
		bound_name_free(bound);
		text_fini(&text);
		naming_fini(&naming);
	}
}

static void a_hostile_dtab_ends_within_its_steps(void **state)
{
	(void)state;
	static const char *const hostile[] = {
		"/a => /a & /a & /a & /a",
		"/a => /a | /a/x | /a/y",
		"/a => (/a/x & /a/y) | (/a/y & /a/x)",
		"/ => / & /",
		"/ => /\\x20\\x20\\x20\\x20\\x20\\x20\\x20\\x20\\x20\\x20\\x20\\x20 & /x",
		"/a => /$/io.buoyant.http.domainToPathPfx/a/b.c.d.e.f.g & /a/x",
		"/a => ~ ; /a/* => /a/b/c/d/e/f | /a/b & /a ; /a => /a/x & /a/y",
		"/a => ((((((((((((((((/a & /a) | /a) & /a) | /a) & /a) | /a) & /a) | /a) & /a)"
		" | /a) & /a) | /a) & /a) | /a) & /a) | /a)",
	};
	for (size_t i = 0; i < array_count(hostile); i++) {
		struct naming naming = {0};
		naming_dtab(&naming, hostile[i]);
		struct bound_name *bound = naming_bind(&naming, "/a/q", NULL);
		assert_true(bound->steps <= DELEGATE_STEPS_MAX);
		assert_int_not_equal(bound->state, DELEGATE_BOUND);
		assert_int_equal(bound->tree->kind, NAME_FAIL);
		bound_name_free(bound);
		naming_fini(&naming);
	}
	struct naming naming = {.steps_max = 3};
	naming_dtab(&naming, "/a => /b; /b => " A);
	assert_string_equal(naming_eval(&naming, "/a"), "too much work: the dtab multiplies names");
	naming.steps_max = 50;
	assert_string_equal(naming_eval(&naming, "/a"), A);
	naming_fini(&naming);
}

static void a_name_that_grows_too_long_is_refused(void **state)
{
	(void)state;
	struct naming naming = {0};
	struct text text = {0};
	text_add(&text, span_text("/a => /a/"));
	for (int i = 0; i < 1000; i++)
		text_add(&text, span_text("x"));
	naming_dtab(&naming, text.data);
	assert_string_equal(naming_eval(&naming, "/a"),
			    "too long: a rewritten name has more than 8192 bytes");
	text_fini(&text);
	naming_fini(&naming);
}

/* ---- namers ---- */

/* Answers what the first segment says. */
static void mood_look_up(void *context, struct name_path name, struct name_arena *arena,
			 struct namer_answer *ret_answer)
{
	static const struct {
		const char *word;
		enum namer_verdict verdict;
	} moods[] = {{"bound", NAMER_BOUND}, {"empty", NAMER_EMPTY},     {"tree", NAMER_TREE},
		     {"fail", NAMER_FAIL},   {"pending", NAMER_PENDING}, {"neg", NAMER_NEG}};
	struct name_error where;
	struct name_tree *tree;
	for (size_t i = 0; i < array_count(moods); i++)
		if (name.count && span_is(name.segments[0], moods[i].word))
			ret_answer->verdict = moods[i].verdict;
	ret_answer->consumed = 1;
	ret_answer->why = context ? context : "so it is";
	if (ret_answer->verdict != NAMER_TREE)
		return;
	assert_int_equal(name_tree_parse(span_text("/$/inet & 3 * /$/io.buoyant.rinet"), arena,
					 &tree, &where),
			 0);
	ret_answer->tree = tree;
}

static void every_answer_of_a_namer_has_its_place(void **state)
{
	(void)state;
	static const struct naming_case cases[] = {
		{"", "/#/mood/bound/rest", "/#/mood/bound"},
		{"", "/#/mood/empty", "$"},
		{"", "/#/mood/fail", "!"},
		{"", "/#/mood/pending", "pending"},
		{"", "/#/mood/neg", "~"},
		{"", "/#/mood/tree/80/81", "/$/inet/80/81 & 3 * /$/io.buoyant.rinet/80/81"},
		{"", "/#/other/bound", "~"},
		{"", "/#", "~"},
		{"/svc => /#/mood/pending | " A, "/svc", "pending"},
		{"/svc => " A " | /#/mood/pending | " B, "/svc", A " | " B},
		{"/svc => /#/mood/pending & 2 * " A, "/svc", A},
		{"/svc => /#/mood/pending & ~", "/svc", "pending"},
		{"/svc => /#/mood/pending & /#/mood/fail", "/svc", "pending"},
		{"/svc => " A " | /#/mood/fail | " B, "/svc", A " | !"},
		{"/svc => " A " & /#/mood/fail", "/svc", A},
	};
	struct naming naming = {0};
	naming_namer(&naming, "mood", mood_look_up, NULL);
	check_cases(&naming, cases, array_count(cases));
}

static void what_is_left_out_until_it_is_known_is_told(void **state)
{
	(void)state;
	struct naming naming = {0};
	naming_namer(&naming, "mood", mood_look_up, NULL);
	naming_dtab(&naming,
		    "/a => " A " | /#/mood/pending; /b => /#/mood/pending & " A "; /c => " A);
	struct bound_name *bound = naming_bind(&naming, "/a", NULL);
	assert_true(bound->has_pending);
	bound_name_free(bound);
	bound = naming_bind(&naming, "/b", NULL);
	assert_true(bound->has_pending);
	bound_name_free(bound);
	bound = naming_bind(&naming, "/c", NULL);
	assert_false(bound->has_pending);
	bound_name_free(bound);
	naming_fini(&naming);
}

static void of_one_prefix_the_last_namer_is_asked_first(void **state)
{
	(void)state;
	static const char *const first[] = {"/a", "/b", NULL};
	static const char *const second[] = {"/x", "/b/c", NULL};
	struct naming naming = {0};
	naming_namer(&naming, "n", naming_table_look_up, (void *)first);
	naming_namer(&naming, "n", naming_table_look_up, (void *)second);
	assert_string_equal(naming_eval(&naming, "/#/n/a"), "/#/n/a");
	assert_string_equal(naming_eval(&naming, "/#/n/b/c/d"), "/#/n/b/c");
	assert_string_equal(naming_eval(&naming, "/#/n/b/d"), "/#/n/b");
	struct bound_name *bound = naming_bind(&naming, "/#/n/b/c/d/e", NULL);
	struct text text = {0};
	assert_int_equal(bound->tree->target, 2);
	name_path_print(bound->tree->residual, &text);
	assert_string_equal(text.data, "/d/e");
	text_fini(&text);
	bound_name_free(bound);
	naming_fini(&naming);
}

/* ---- the trace ---- */

struct scribe {
	struct delegate_trace trace;
	struct text text;
	uint32_t open;
};

static void scribe_step(struct delegate_trace *trace, const struct delegate_event *event)
{
	static const char *const names[] = {"name", "entry", "namer", "utility", "|", "&"};
	struct scribe *scribe = container_of(trace, struct scribe, trace);
	scribe->open -= event->is_end;
	assert_int_equal(event->level, scribe->open);
	scribe->open += !event->is_end;
	if (event->is_end)
		text_printf(&scribe->text, "%u /%s %s%s%s\n", event->level, names[event->step],
			    delegate_state_name(event->state), event->why ? ": " : "",
			    event->why ? event->why : "");
}

static void the_trace_tells_what_was_taken_and_why(void **state)
{
	(void)state;
	struct scribe scribe = {.trace = {.step = scribe_step}};
	struct naming naming = {0};
	naming_dtab(&naming, "/svc => " A "; /svc => /none | 2 * " B " & /#/x");
	struct bound_name *bound = naming_bind(&naming, "/svc", &scribe.trace);
	assert_int_equal(scribe.open, 0);
	assert_string_equal(scribe.text.data,
			    "3 /name negative: no entry matches\n"
			    "2 /| negative: no entry matches\n"
			    "5 /utility bound\n"
			    "4 /name bound\n"
			    "3 /& bound: takes part by its weight\n"
			    "4 /name negative: no such namer\n"
			    "3 /& negative: takes no part\n"
			    "2 /| bound: taken: the first that is not negative\n"
			    "1 /entry bound: taken: the first that is not negative\n"
			    "3 /utility bound\n"
			    "2 /name bound\n"
			    "1 /entry bound: taken if none before it is ready\n"
			    "0 /name bound\n");
	text_fini(&scribe.text);
	bound_name_free(bound);
	naming_fini(&naming);
}

static void any_allocation_may_fail(void **state)
{
	(void)state;
	struct naming naming = {0};
	struct text text = {0};
	for (int i = 0; i < 60; i++)
		text_printf(&text,
			    "/svc => %d * /$/io.buoyant.http.domainToPathPfx/p/a.b.c & %s/x;", i,
			    A);
	text_add(&text, span_text("/p => /$/inet/h/80"));
	naming_dtab(&naming, text.data);
	/* The names that are bound below are parsed into this. */
	assert_int_equal(name_arena_reserve(&naming.arena, 65536), 0);
	long live = mem_live();
	unsigned long n = 0;
	bool is_good = false;
	while (!is_good) {
		mem_fail_nth(++n);
		struct bound_name *bound = naming_bind(&naming, "/svc/a", NULL);
		mem_fail_nth(0);
		is_good = bound && bound->state == DELEGATE_BOUND;
		if (bound && !is_good)
			assert_int_equal(bound->state, DELEGATE_NO_MEMORY);
		bound_name_free(bound);
		assert_int_equal(mem_live(), live);
	}
	assert_true(n > 4);
	text_fini(&text);
	naming_fini(&naming);
	assert_int_equal(mem_live(), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(rules_are_applied_as_the_reference_says),
		cmocka_unit_test(utility_names_rewrite_and_bind),
		cmocka_unit_test(tutorials_resolve_as_they_say),
		cmocka_unit_test(entries_of_the_request_come_after_the_base),
		cmocka_unit_test(a_hundred_look_ups_are_allowed_and_no_more),
		cmocka_unit_test(a_hostile_dtab_ends_within_its_steps),
		cmocka_unit_test(a_name_that_grows_too_long_is_refused),
		cmocka_unit_test(every_answer_of_a_namer_has_its_place),
		cmocka_unit_test(what_is_left_out_until_it_is_known_is_told),
		cmocka_unit_test(of_one_prefix_the_last_namer_is_asked_first),
		cmocka_unit_test(the_trace_tells_what_was_taken_and_why),
		cmocka_unit_test(any_allocation_may_fail),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
