#include "policy/deadline.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>

#define GRPC_DIGITS_MOST 8
#define GRPC_NUMBER_MOST 99999999ull

struct grpc_unit {
	char name;
	uint64_t ns;
};

/* Most exact first. */
static const struct grpc_unit grpc_units[] = {
	{'n', 1},          {'u', 1000},           {'m', 1000000},
	{'S', 1000000000}, {'M', 60000000000ull}, {'H', 3600000000000ull},
};

int deadline_parse(struct span value, struct deadline *ret_deadline)
{
	struct span rest = value;
	struct span stamp, at;
	struct deadline deadline;
	if (!span_split(&rest, ' ', &stamp) || !span_split(&rest, ' ', &at) || rest.data)
		return -EINVAL;
	if (span_to_u64(stamp, &deadline.stamp_ns) || span_to_u64(at, &deadline.at_ns) ||
	    deadline.at_ns == 0 || deadline.at_ns > INT64_MAX || deadline.stamp_ns > INT64_MAX)
		return -EINVAL;
	*ret_deadline = deadline;
	return 0;
}

int deadline_parse_grpc(struct span value, uint64_t *ret_ns)
{
	uint64_t number;
	if (value.size < 2 || value.size > GRPC_DIGITS_MOST + 1 ||
	    span_to_u64(span_of(value.data, value.size - 1), &number))
		return -EINVAL;
	for (size_t i = 0; i < array_count(grpc_units); i++) {
		if (grpc_units[i].name == value.data[value.size - 1]) {
			*ret_ns = number * grpc_units[i].ns;
			return 0;
		}
	}
	return -EINVAL;
}

static void combine(struct deadline *into, const struct deadline *other)
{
	if (into->at_ns == 0) {
		*into = *other;
		return;
	}
	if (other->stamp_ns > into->stamp_ns)
		into->stamp_ns = other->stamp_ns;
	if (other->at_ns < into->at_ns)
		into->at_ns = other->at_ns;
}

static bool is_l5d(const struct http_field *field)
{
	return field->name.size == sizeof(DEADLINE_HEADER) - 1 &&
	       span_is_nocase(field->name, DEADLINE_HEADER);
}

static bool is_grpc(const struct http_field *field)
{
	return field->name.size == sizeof("grpc-timeout") - 1 &&
	       span_is_nocase(field->name, "grpc-timeout");
}

bool deadline_is_told(const struct http_head *request)
{
	for (uint16_t i = 0; i < request->field_count; i++) {
		if (is_l5d(&request->fields[i]) || is_grpc(&request->fields[i]))
			return true;
	}
	return false;
}

struct deadline deadline_read(const struct http_head *request, uint64_t wall_ns)
{
	struct deadline deadline = {0};
	for (uint16_t i = 0; i < request->field_count; i++) {
		const struct http_field *field = &request->fields[i];
		struct deadline one;
		uint64_t timeout_ns;
		if (is_l5d(field)) {
			if (!deadline_parse(field->value, &one))
				combine(&deadline, &one);
		} else if (is_grpc(field) && !deadline_parse_grpc(field->value, &timeout_ns)) {
			one = (struct deadline){wall_ns, wall_ns + timeout_ns};
			combine(&deadline, &one);
		}
	}
	return deadline;
}

void deadline_tighten(struct deadline *deadline, uint64_t wall_ns, uint64_t timeout_ns)
{
	struct deadline own = {wall_ns, wall_ns + timeout_ns};
	if (timeout_ns)
		combine(deadline, &own);
}

bool deadline_has_passed(const struct deadline *deadline, uint64_t wall_ns)
{
	return deadline_left_ns(deadline, wall_ns) == 0;
}

uint64_t deadline_left_ns(const struct deadline *deadline, uint64_t wall_ns)
{
	if (deadline->at_ns == 0)
		return UINT64_MAX;
	uint64_t until_ns = deadline->at_ns + DEADLINE_SKEW_NS;
	return until_ns > wall_ns ? until_ns - wall_ns : 0;
}

struct span deadline_print(const struct deadline *deadline, char text[DEADLINE_TEXT_MAX])
{
	int size = snprintf(text, DEADLINE_TEXT_MAX, "%" PRIu64 " %" PRIu64, deadline->stamp_ns,
			    deadline->at_ns);
	return span_of(text, (size_t)size);
}

struct span deadline_print_grpc(uint64_t timeout_ns, char text[GRPC_TIMEOUT_TEXT_MAX])
{
	size_t i = 0;
	while (i + 1 < array_count(grpc_units) && timeout_ns / grpc_units[i].ns > GRPC_NUMBER_MOST)
		i++;
	uint64_t number = timeout_ns / grpc_units[i].ns;
	if (number > GRPC_NUMBER_MOST)
		number = GRPC_NUMBER_MOST;
	int size =
		snprintf(text, GRPC_TIMEOUT_TEXT_MAX, "%" PRIu64 "%c", number, grpc_units[i].name);
	return span_of(text, (size_t)size);
}
