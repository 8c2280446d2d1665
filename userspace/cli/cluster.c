#include "cli/cluster.h"

#include <stdio.h>

#include "cli/json_view.h"
#include "cli/table.h"

static const cJSON *pod_named(const cJSON *pods, const char *name)
{
	const cJSON *pod;
	cJSON_ArrayForEach(pod, pods)
	{
		if (strcmp(view_text(pod, "name"), name) == 0)
			return pod;
	}
	return NULL;
}

/* Why the pod is not captured; "" = it is. `pods` is /pods.json. */
static const char *reason_of(const cJSON *pod, const cJSON *pods)
{
	const cJSON *enrolled = pod_named(pods, view_text(pod, "name"));
	if (!cJSON_IsTrue(view_item(pod, "is_meshed")))
		return view_text(pod, "why");
	if (enrolled && view_text(enrolled, "error")[0])
		return view_text(enrolled, "error");
	if (enrolled)
		return "";
	const char *problem = view_text(pod, "problem");
	return problem[0] ? problem : "it has no address yet";
}

void cluster_add_faults(const cJSON *cluster, struct text *text)
{
	const cJSON *pod;
	cJSON_ArrayForEach(pod, view_item(cluster, "pods"))
	{
		const char *name = view_text(pod, "name");
		struct span faults = span_text(view_text(pod, "annotation_faults"));
		struct span fault;
		while (span_split(&faults, '\n', &fault)) {
			if (fault.size > 0)
				text_printf(text, "%s: annotation %.*s\n", name, SPAN_PRINT(fault));
		}
	}
}

void cluster_add_others(const cJSON *cluster, const cJSON *pods, struct text *text)
{
	static const char *const headings[] = {"POD", "NOT ENROLLED BECAUSE"};
	struct table table;
	table_init(&table, array_count(headings), headings, 0);
	size_t count = 0;
	const cJSON *pod;
	cJSON_ArrayForEach(pod, view_item(cluster, "pods"))
	{
		const char *reason = reason_of(pod, pods);
		if (!reason[0])
			continue;
		table_add(&table, view_text(pod, "name"));
		table_add(&table, reason);
		count++;
	}
	if (count) {
		text_add(text, span_text("\n"));
		table_print(&table, text);
	}
	table_fini(&table);
}

/* ---- weft check ---- */

static double seconds_of(const cJSON *watch, const char *key)
{
	const cJSON *item = view_item(watch, key);
	return cJSON_IsNumber(item) ? item->valuedouble : 0;
}

static void judge_watch(const cJSON *watch, struct check_line *line)
{
	double stale_s = seconds_of(watch, "stale_seconds");
	const char *fault = view_text(watch, "last_fault");
	if (!cJSON_IsTrue(view_item(watch, "is_synced"))) {
		line->result = CHECK_FAIL;
		snprintf(line->found, sizeof(line->found), "never listed: %s",
			 fault[0] ? fault : "no answer yet");
	} else if (stale_s > 0) {
		line->result = CHECK_WARN;
		snprintf(line->found, sizeof(line->found),
			 "what was known %.0f s ago still serves: %s", stale_s, fault);
	} else {
		line->result = CHECK_OK;
		snprintf(line->found, sizeof(line->found), "%llu objects, told %.0f s ago",
			 (unsigned long long)view_number(watch, "objects"),
			 seconds_of(watch, "byte_age_seconds"));
		return;
	}
	snprintf(line->advice, sizeof(line->advice),
		 "can this node reach the API server, and may weft's service account read?");
}

static void judge_pods(const cJSON *cluster, const cJSON *pods, struct check_line *line)
{
	unsigned meshed = 0;
	unsigned missing = 0;
	const char *name = "";
	const char *reason = "";
	const cJSON *pod;
	cJSON_ArrayForEach(pod, view_item(cluster, "pods"))
	{
		if (!cJSON_IsTrue(view_item(pod, "is_meshed")))
			continue;
		meshed++;
		if (!reason_of(pod, pods)[0])
			continue;
		missing++;
		name = view_text(pod, "name");
		reason = reason_of(pod, pods);
	}
	line->result = missing ? CHECK_WARN : CHECK_OK;
	if (!missing) {
		snprintf(line->found, sizeof(line->found), "all %u that are labelled are enrolled",
			 meshed);
		return;
	}
	snprintf(line->found, sizeof(line->found), "%u of %u that are labelled are not: %s: %s",
		 missing, meshed, name, reason);
	snprintf(line->advice, sizeof(line->advice), "`weft pods --all` names each");
}

/* One of an older weftd does not say. */
static void judge_services(const cJSON *cluster, struct check_line *line)
{
	const cJSON *left_out = view_item(cluster, "services_left_out");
	int count = cJSON_GetArraySize(left_out);
	line->result = count ? CHECK_WARN : CHECK_OK;
	if (count == 0) {
		snprintf(line->found, sizeof(line->found), "none is too large");
		return;
	}
	snprintf(line->found, sizeof(line->found), "%d not meshed, too large: %s", count,
		 view_text(cJSON_GetArrayItem(left_out, 0), "name"));
	snprintf(line->advice, sizeof(line->advice),
		 "its endpoints, times its TCP ports, are more than limits.service_endpoints "
		 "(%llu); it is served as without weft",
		 (unsigned long long)view_number(cluster, "service_endpoint_limit"));
}

size_t cluster_check(const cJSON *cluster, const cJSON *pods,
		     struct check_line lines[CLUSTER_LINES_MAX])
{
	static const struct {
		const char *kind, *line;
	} watches[] = {{"pods", "watch-pods"},
		       {"namespaces", "watch-namespaces"},
		       {"nodes", "watch-nodes"},
		       {"services", "watch-services"},
		       {"endpointslices", "watch-endpoints"}};
	size_t count = 0;
	if (!cJSON_IsTrue(view_item(cluster, "enabled")))
		return 0;
	for (size_t i = 0; i < array_count(watches); i++) {
		lines[count] = (struct check_line){.name = watches[i].line};
		judge_watch(view_item(view_item(cluster, "watches"), watches[i].kind),
			    &lines[count++]);
	}
	lines[count] = (struct check_line){.name = "pods"};
	judge_pods(cluster, pods, &lines[count++]);
	lines[count] = (struct check_line){.name = "services"};
	judge_services(cluster, &lines[count++]);
	return count;
}
