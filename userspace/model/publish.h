/*
 * Where the current snapshot is (liburcu, QSBR). One publisher thread (control); any number of
 * reader threads, each registered, each going offline before it waits and online after, once per
 * turn of its loop: a pointer from snapshot_current is valid until then. The publisher itself may
 * read without being registered.
 */
#ifndef MODEL_PUBLISH_H
#define MODEL_PUBLISH_H

#include "model/snapshot.h"

struct snapshot_slot; /* the published pointer */

struct snapshot_slot *snapshot_slot_new(void) MUST_CHECK;
void snapshot_slot_free(struct snapshot_slot *slot); /* frees the current snapshot too */

/* Control thread: swaps, waits until every reader was offline once, frees the old one. */
void snapshot_publish(struct snapshot_slot *slot, struct snapshot *next);

/* Control thread: returns when every reader was offline once. */
void snapshot_wait_readers(void);

/* A registered reader is online at first. */
void snapshot_reader_register(void);
void snapshot_reader_unregister(void);
void snapshot_reader_offline(void); /* before waiting */
void snapshot_reader_online(void);
/* Lends; valid until this thread's next snapshot_reader_offline. */
const struct snapshot *snapshot_current(const struct snapshot_slot *slot);

#endif
