#include "policy/balance_two.h"

#define DRAWS   16
#define OUTLIER 8
#define CLEARLY 2
#define REDRAWS 6

/* Of a few draws the first that is open: one that is left out must not take the place of one of the
 * two, or the other is taken however slow it is. The last draw, when none was open. */
static uint32_t draw_open(const struct balance_call *call, struct balance_window window)
{
	uint32_t position = balance_draw(call, window);
	if (balance_is_all_open(call))
		return position;
	for (int i = 1; i < DRAWS; i++) {
		if (balance_status(call, balance_at(call, position)) == STATUS_OPEN)
			break;
		position = balance_draw(call, window);
	}
	return position;
}

/* A position of the window that is not `one`, if it has another; drawn as the first was. */
static uint32_t draw_other(const struct balance_call *call, struct balance_window window,
			   uint32_t one)
{
	uint32_t count = call->set->count;
	uint32_t other = one;
	if (window.size == 1)
		return one;
	for (int i = 0; other == one && i < REDRAWS; i++)
		other = draw_open(call, window);
	if (other != one)
		return other;
	uint32_t last = (window.first + window.size - 1) % count;
	return one == last ? window.first : (one + 1) % count;
}

static const struct endpoint *better(const struct balance_call *call, uint32_t one, uint32_t other,
				     balance_measure *measure, double factor)
{
	const struct endpoint *a = balance_at(call, one);
	const struct endpoint *b = balance_at(call, other);
	if (!balance_is_all_open(call)) {
		enum balance_status status_a = balance_status(call, a);
		enum balance_status status_b = balance_status(call, b);
		if (status_a != status_b)
			return status_a < status_b ? a : b;
	}
	return measure(call, b) * factor < measure(call, a) ? b : a;
}

static const struct endpoint *choose(const struct balance_call *call, struct balance_window window,
				     balance_measure *measure)
{
	uint32_t one = draw_open(call, window);
	if (call->set->has_equal_weights)
		return better(call, one, draw_other(call, window, one), measure, 1);
	uint32_t other = draw_open(call, window);
	if (other != one)
		return better(call, one, other, measure, CLEARLY);
	return better(call, one, draw_other(call, window, one), measure, OUTLIER);
}

const struct endpoint *balance_two(const struct balance_call *call, struct balance_window window,
				   balance_measure *measure)
{
	const struct endpoint *chosen = choose(call, window, measure);
	if (balance_is_all_open(call) || balance_status(call, chosen) == STATUS_OPEN)
		return chosen;
	return balance_scan(call, rng_below(call->rng, call->set->count));
}
