#include "cni/metrics.h"

#include "cni/record.h"

static bool is_in_place(const struct cni_place *place)
{
	struct cni_state state = {0};
	struct text why = {0};
	int error = cni_look(place, &state, &why);
	text_fini(&why);
	return !error && state.is_listed && state.has_program;
}

void cni_metrics_page(const struct cni_place *place, const char *socket_path, struct text *page)
{
	const struct cni_record record = cni_record_read(socket_path);
	text_printf(page,
		    "# HELP weft_cni_in_place The CNI plugin is in the list that the container "
		    "runtime uses, and its program is there.\n"
		    "# TYPE weft_cni_in_place gauge\n"
		    "weft_cni_in_place %d\n",
		    is_in_place(place));
	text_printf(page,
		    "# HELP weft_cni_reinsertions_total Times that another program had taken the "
		    "CNI plugin out and it was put in again.\n"
		    "# TYPE weft_cni_reinsertions_total counter\n"
		    "weft_cni_reinsertions_total %llu\n",
		    (unsigned long long)record.put_in_again);
}
