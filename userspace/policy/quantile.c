#include "policy/quantile.h"

#include "model/resilience.h"

#define STEP       0.05 /* of the estimate */
#define STEP_FIRST 0.5  /* while the samples are few */
#define LEAST_NS   1000.0

#define LOAD(field)         atomic_load_explicit(&(field), memory_order_relaxed)
#define STORE(field, value) atomic_store_explicit(&(field), (value), memory_order_relaxed)

void quantile_observe(struct quantile *quantile, uint32_t share_ppm, uint64_t sample_ns)
{
	uint32_t samples = LOAD(quantile->samples);
	double estimate_ns = (double)LOAD(quantile->estimate_ns);
	double share = (double)share_ppm / PPM;
	double step = samples < QUANTILE_SAMPLES_LEAST ? STEP_FIRST : STEP;
	if (samples < QUANTILE_SAMPLES_LEAST)
		STORE(quantile->samples, samples + 1);
	if (estimate_ns < LEAST_NS) /* the first; and none is too small to grow */
		estimate_ns = sample_ns == QUANTILE_ABOVE ? LEAST_NS : (double)sample_ns;
	else if ((double)sample_ns > estimate_ns)
		estimate_ns *= 1 + step * share;
	else
		estimate_ns *= 1 - step * (1 - share);
	STORE(quantile->estimate_ns, (uint64_t)(estimate_ns > LEAST_NS ? estimate_ns : LEAST_NS));
}

uint64_t quantile_ns(const struct quantile *quantile)
{
	return LOAD(quantile->samples) < QUANTILE_SAMPLES_LEAST ? 0 : LOAD(quantile->estimate_ns);
}
