#include "policy/retry_budget.h"

#define NS_PER_S     1000000000ull
#define DEPOSIT      1000
#define NUMBER_SHIFT 40
#define NUMBER_MASK  0xffffffull
#define AMOUNT_MASK  ((1ull << NUMBER_SHIFT) - 1)
#define AMOUNT_MOST  ((int64_t)(AMOUNT_MASK >> 1))

/* The numbers of two times in one slice's word are equal only if they are 10 x 2^23 slices apart,
 * 97 days at the shortest ttl. */
static uint64_t slice_word(uint64_t number, int64_t amount)
{
	return (number & NUMBER_MASK) << NUMBER_SHIFT | ((uint64_t)amount & AMOUNT_MASK);
}

static int64_t slice_amount(uint64_t word, uint64_t number)
{
	if (word >> NUMBER_SHIFT != (number & NUMBER_MASK))
		return 0; /* of a round before: forgotten */
	return (int64_t)(word << (64 - NUMBER_SHIFT)) >> (64 - NUMBER_SHIFT);
}

static uint64_t slice_number(const struct budget_rule *rule, uint64_t now_ns)
{
	uint64_t length_ns = rule->ttl_ns / RETRY_BUDGET_SLICES;
	return now_ns / (length_ns ? length_ns : 1);
}

/* False: the slice cannot hold it. */
static bool add(struct retry_budget *budget, const struct budget_rule *rule, uint64_t now_ns,
		int64_t amount)
{
	uint64_t number = slice_number(rule, now_ns);
	_Atomic uint64_t *slice = &budget->slices[number % RETRY_BUDGET_SLICES];
	uint64_t old = atomic_load_explicit(slice, memory_order_relaxed);
	uint64_t new;
	do {
		int64_t sum = slice_amount(old, number) + amount;
		if (sum > AMOUNT_MOST || sum < -AMOUNT_MOST)
			return false;
		new = slice_word(number, sum);
	} while (!atomic_compare_exchange_weak_explicit(slice, &old, new, memory_order_relaxed,
							memory_order_relaxed));
	return true;
}

static int64_t sum_of(const struct retry_budget *budget, const struct budget_rule *rule,
		      uint64_t now_ns)
{
	uint64_t newest = slice_number(rule, now_ns);
	int64_t sum = 0;
	for (uint64_t age = 0; age < RETRY_BUDGET_SLICES && age <= newest; age++) {
		uint64_t number = newest - age;
		const _Atomic uint64_t *slice = &budget->slices[number % RETRY_BUDGET_SLICES];
		sum += slice_amount(atomic_load_explicit(slice, memory_order_relaxed), number);
	}
	return sum;
}

/* W */
static int64_t price(const struct budget_rule *rule)
{
	if (rule->share_ppm == 0)
		return 1;
	uint64_t tokens = (uint64_t)DEPOSIT * PPM / rule->share_ppm;
	return tokens ? (int64_t)tokens : 1;
}

static int64_t tokens_of(const struct retry_budget *budget, const struct budget_rule *rule,
			 uint64_t now_ns)
{
	int64_t reserve = (int64_t)(rule->min_per_second * rule->ttl_ns / NS_PER_S);
	return sum_of(budget, rule, now_ns) + reserve * price(rule);
}

static bool is_empty(const struct budget_rule *rule)
{
	return rule->share_ppm == 0 && rule->min_per_second == 0;
}

void retry_budget_deposit(struct retry_budget *budget, const struct budget_rule *rule,
			  uint64_t now_ns)
{
	/* a slice that is full needs no more */
	if (rule->share_ppm > 0)
		(void)add(budget, rule, now_ns, DEPOSIT);
}

bool retry_budget_withdraw(struct retry_budget *budget, const struct budget_rule *rule,
			   uint64_t now_ns)
{
	if (is_empty(rule) || tokens_of(budget, rule, now_ns) < price(rule))
		return false;
	return add(budget, rule, now_ns, -price(rule));
}

int64_t retry_budget_balance(const struct retry_budget *budget, const struct budget_rule *rule,
			     uint64_t now_ns)
{
	if (is_empty(rule))
		return 0;
	int64_t tokens = tokens_of(budget, rule, now_ns);
	int64_t whole = tokens / price(rule);
	return whole * price(rule) > tokens ? whole - 1 : whole;
}
