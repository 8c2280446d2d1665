#include "model/publish.h"

#include <stdatomic.h>
#include <urcu/urcu-qsbr.h>

#include "base/mem.h"

/*
 * liburcu is not compiled with ThreadSanitizer, which therefore does not see that whatever a reader
 * read before it went offline comes before the old snapshot's end.
 */
#ifdef __SANITIZE_THREAD__
#include <sanitizer/tsan_interface.h>
static char grace;
#define GRACE_LEFT()   __tsan_release(&grace)
#define GRACE_PASSED() __tsan_acquire(&grace)
#else
#define GRACE_LEFT()   ((void)0)
#define GRACE_PASSED() ((void)0)
#endif

struct snapshot_slot {
	_Atomic(struct snapshot *) current;
};

struct snapshot_slot *snapshot_slot_new(void)
{
	return mem_zalloc(sizeof(struct snapshot_slot));
}

void snapshot_slot_free(struct snapshot_slot *slot)
{
	if (!slot)
		return;
	snapshot_free(atomic_load(&slot->current));
	mem_free(slot);
}

void snapshot_wait_readers(void)
{
	urcu_qsbr_synchronize_rcu();
	GRACE_PASSED();
}

void snapshot_publish(struct snapshot_slot *slot, struct snapshot *next)
{
	struct snapshot *old = atomic_exchange_explicit(&slot->current, next, memory_order_acq_rel);
	if (!old)
		return;
	snapshot_wait_readers();
	snapshot_free(old);
}

void snapshot_reader_register(void)
{
	urcu_qsbr_register_thread();
}

void snapshot_reader_unregister(void)
{
	GRACE_LEFT();
	urcu_qsbr_unregister_thread();
}

void snapshot_reader_offline(void)
{
	GRACE_LEFT();
	urcu_qsbr_thread_offline();
}

void snapshot_reader_online(void)
{
	urcu_qsbr_thread_online();
}

const struct snapshot *snapshot_current(const struct snapshot_slot *slot)
{
	return atomic_load_explicit(&slot->current, memory_order_acquire);
}
