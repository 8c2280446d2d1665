#include "policy/quantile.h"

#include "model/resilience.h"

#define STEP       0.05 /* of the estimate */
#define STEP_FIRST 0.5  /* while the samples are few */
#define LEAST_NS   1000.0

#define LOAD(field)         atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

static void step(struct quantile *quantile, uint32_t share_ppm, uint64_t sample_ns, bool is_above)
{
	uint32_t samples = LOAD(quantile->samples);
	double estimate_ns = (double)LOAD(quantile->estimate_ns);
	double share = (double)share_ppm / PPM;
	double part = samples < QUANTILE_SAMPLES_LEAST ? STEP_FIRST : STEP;
	if (samples < QUANTILE_SAMPLES_LEAST)
		STORE(quantile->samples, samples + 1);
	if (estimate_ns < LEAST_NS) /* the first; and none is too small to grow */
		estimate_ns = (double)sample_ns;
	else if (is_above)
		estimate_ns *= 1 + part * share;
	else
		estimate_ns *= 1 - part * (1 - share);
	STORE(quantile->estimate_ns, (uint64_t)(estimate_ns > LEAST_NS ? estimate_ns : LEAST_NS));
}

void quantile_observe(struct quantile *quantile, uint32_t share_ppm, uint64_t sample_ns)
{
	step(quantile, share_ppm, sample_ns, sample_ns > LOAD(quantile->estimate_ns));
}

void quantile_observe_cut(struct quantile *quantile, uint32_t share_ppm, uint64_t least_ns)
{
	if (LOAD(quantile->estimate_ns) / 2 <= least_ns)
		step(quantile, share_ppm, least_ns, true);
}

uint64_t quantile_ns(const struct quantile *quantile)
{
	return LOAD(quantile->samples) < QUANTILE_SAMPLES_LEAST ? 0 : LOAD(quantile->estimate_ns);
}
