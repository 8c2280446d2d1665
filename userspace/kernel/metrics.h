/* Prometheus lines of what the BPF programs counted. Control thread. */
#ifndef KERNEL_METRICS_H
#define KERNEL_METRICS_H

#include "kernel/kernel.h"

/* weft_capture_decisions_total{pod,reason}; weft_flow_*{pod,service,leg} of closed connections. */
void kernel_metrics_page(struct kernel *kernel, struct text *page);

#endif
