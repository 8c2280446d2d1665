/*
 * Request lines that servers take and llhttp does not: targets with bytes above 127 (raw UTF-8
 * paths) and methods that it has no number for (RFC 9110 9.1: the set is open). Such a line is
 * held until it is whole and then shown to llhttp in disguise, so that llhttp goes on judging the
 * rest of it, while what h1_head_read judges and what is forwarded are the original bytes. Used by
 * h1_section.c only, when llhttp has refused a line.
 */
#ifndef HTTP_H1_LINE_H
#define HTTP_H1_LINE_H

#include "http/h1.h"

/* None of these bytes forbids a request line for good; CR and LF have their place in one. */
bool h1_line_is_text(struct span bytes);
/*
 * Shows a whole line, with its LF, to a parser that has seen nothing. May refuse: see
 * reader->error.
 */
void h1_line_show(struct h1_reader *reader, struct span line);

#endif
