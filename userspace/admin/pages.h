/*
 * What the admin server shows, as pure functions: sources and a moment in, text out. They run on
 * the control thread, which may read the snapshot without being a registered reader.
 */
#ifndef ADMIN_PAGES_H
#define ADMIN_PAGES_H

#include "admin/admin.h"
#include "admin/baseline.h"
#include "model/snapshot.h"

/* Everything that a page is made from. */
struct page_view {
	const struct admin_sources *sources;
	const struct snapshot *snapshot; /* NULL before the first config */
	const struct baseline *baseline;
	uint64_t now_ns; /* CLOCK_MONOTONIC */
};

void page_metrics(const struct page_view *view, struct text *page);
void page_stat(const struct page_view *view, struct text *page);
void page_services(const struct page_view *view, struct text *page);
void page_routes(const struct page_view *view, struct text *page);
/* HTTP status: 200, or 503 and which worker is silent. */
unsigned page_live(const struct page_view *view, struct text *page);
unsigned page_ready(const struct page_view *view, struct text *page);

#endif
