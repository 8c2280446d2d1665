#include "control/kept.h"

#include "kube/kube.h"

void kept_json(const struct kube *kube, struct text *json)
{
	struct kube_known known;
	kube_known(kube, &known);
	text_add(json, span_text("{\"file\":"));
	text_json_string(json, span_text(known.file));
	text_printf(json,
		    ",\"was_used\":%s,\"bytes\":%llu,\"written\":%llu,\"write_faults\":%llu,"
		    "\"read_faults\":%llu,\"last_fault\":",
		    known.was_used ? "true" : "false", (unsigned long long)known.bytes,
		    (unsigned long long)known.written, (unsigned long long)known.write_faults,
		    (unsigned long long)known.read_faults);
	text_json_string(json, span_text(known.last_fault));
	text_add(json, span_text("}"));
}

void kept_metrics(const struct kube *kube, struct text *page)
{
	struct kube_known known;
	kube_known(kube, &known);
	const struct {
		const char *name, *help;
		uint64_t value;
	} rows[] = {
		{"weft_kubernetes_known_files_written_total",
		 "Files of what is known, for the next weftd.", known.written},
		{"weft_kubernetes_known_write_faults_total",
		 "Such files that could not be written: the one before stayed.",
		 known.write_faults},
		{"weft_kubernetes_known_read_faults_total",
		 "Such files that were not used when the API server was away.", known.read_faults},
	};
	for (size_t i = 0; i < array_count(rows); i++) {
		text_printf(page, "# HELP %s %s\n# TYPE %s counter\n%s %llu\n", rows[i].name,
			    rows[i].help, rows[i].name, rows[i].name,
			    (unsigned long long)rows[i].value);
	}
}
