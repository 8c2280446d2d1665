/*
 * A head or a trailer section, gathered over as many feeds as it takes and walked by llhttp. While
 * all of it lies in one feed nothing is copied and nothing allocated; only a section that is cut
 * off moves to a scratch on the heap, which is gone before its event returns. Used by the reader
 * only.
 */
#ifndef HTTP_H1_SECTION_H
#define HTTP_H1_SECTION_H

#include "http/h1.h"

/* Called once per section, when its last byte was taken. Spans live until it returns. */
typedef void h1_section_done(struct h1_reader *reader, struct span bytes, struct http_field *fields,
			     size_t count);

void h1_section_init(struct h1_reader *reader);
void h1_section_fini(struct h1_reader *reader);
/*
 * Takes bytes of the section (a head, or trailers once reader->head_done); returns how many were
 * of it. May refuse: see reader->error.
 */
size_t h1_section_read(struct h1_reader *reader, struct span bytes,
		       h1_section_done *done) MUST_CHECK;

/* The first refusal stands. */
static inline void h1_refuse(struct h1_reader *reader, enum h1_error error, const char *text)
{
	if (reader->error)
		return;
	reader->error = (uint8_t)error;
	reader->error_text = text;
}

#endif
