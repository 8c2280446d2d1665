/* What is wrong with one config file: gathered, sorted by line, told at once. One thread. */
#ifndef CONTROL_FAULTS_H
#define CONTROL_FAULTS_H

#include "base/text.h"

#define FAULTS_MOST 20 /* kept; the rest is counted */

struct fault {
	uint32_t line; /* 0 = none */
	struct text sentence;
};

struct faults {
	uint32_t count; /* of all */
	struct fault kept[FAULTS_MOST];
};

/* A sentence to append to ("KEY: what is wrong and what to do"), never NULL. */
struct text *faults_add(struct faults *faults, uint32_t line);
/* Lines "FILE:LINE: sentence", then how many were left out. */
void faults_print(struct faults *faults, const char *file, struct text *why);
void faults_fini(struct faults *faults);

#endif
