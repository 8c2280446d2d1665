/* Metadata of an object, for the readers of the kinds. */
#ifndef KUBE_READ_META_H
#define KUBE_READ_META_H

#include "kube/reader.h"

/* A zeroed struct of `size` bytes that begins with a struct kube_object, which is filled in; NULL =
 * full. */
void *read_meta(struct reader *reader, const cJSON *json, size_t size);
/* A label's value, whether it is kept or not; "" = absent. */
const char *read_label(struct reader *reader, const cJSON *json, const char *key);

#endif
