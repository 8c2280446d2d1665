/*
 * A chunk's size line (RFC 9112 7.1), byte by byte. llhttp 8.1 is not asked here: it takes ";;a",
 * ";=b", ";a=" and `;a=b"c"` as extensions, refuses a quoted pair and blanks that 7.1.1 allows,
 * and sets no bound on their length. Pure.
 */
#ifndef HTTP_H1_CHUNK_H
#define HTTP_H1_CHUNK_H

#include "http/h1_head.h"

#define H1_CHUNK_DIGITS_MAX   16
#define H1_EXTENSION_LINE_MAX 256   /* bytes of extensions in one size line */
#define H1_EXTENSION_DEBT_MAX 16384 /* extension bytes in excess of body bytes */

/* Before the first byte of a size line. */
void h1_chunk_begin(struct h1_reader *reader);
/*
 * Takes one byte of the line; *ret_is_done once its LF was taken, reader->body_left has the size
 * then. NULL or what is wrong.
 */
const struct h1_fault *h1_chunk_take(struct h1_reader *reader, char byte,
				     bool *ret_is_done) MUST_CHECK;

#endif
