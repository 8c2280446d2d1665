/*
 * From an object's struct (objects.h) to JSON in the shape of the API, pure: what kube_read makes
 * the same struct of. Only what the struct has is written, and nothing that is read as such when
 * it is absent. No line break is in it.
 */
#ifndef KUBE_WRITE_H
#define KUBE_WRITE_H

#include "base/text.h"
#include "kube/objects.h"

void kube_write(const struct kube_object *object, struct text *json);

#endif
