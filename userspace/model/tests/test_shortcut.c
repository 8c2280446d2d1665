/* The rule of include/weft/shortcut.h, which the kernel and the workers share. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "base/span.h"
#include "model/snapshot.h"

/* Rows: what the pod says; columns: what the service says; in the order of the enum: inherit, off,
 * auto, on. A letter is who has it: '-' nobody, 'h' what is declared HTTP, '+' everybody. */
static const struct {
	enum weft_shortcut mesh;
	const char *pods[4];
} table[] = {
	{WEFT_SHORTCUT_INHERIT, {"--h+", "----", "h-hh", "+-++"}},
	{WEFT_SHORTCUT_OFF, {"--h+", "----", "h-hh", "+-++"}},
	{WEFT_SHORTCUT_AUTO, {"h-h+", "----", "h-hh", "+-++"}},
	{WEFT_SHORTCUT_ON, {"+-h+", "----", "h-hh", "+-++"}},
};

static void every_combination_is_as_the_table_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < array_count(table); i++) {
		for (unsigned at = 0; at < 16; at++) {
			unsigned pod = at / 4;
			unsigned service = at % 4;
			char who = table[i].pods[pod][service];
			bool http = weft_shortcut_applies(pod, service, table[i].mesh, true);
			bool other = weft_shortcut_applies(pod, service, table[i].mesh, false);
			if (http != (who != '-') || other != (who == '+'))
				fail_msg("pod %s, service %s, mesh %s: %d %d",
					 shortcut_name((enum weft_shortcut)pod),
					 shortcut_name((enum weft_shortcut)service),
					 shortcut_name(table[i].mesh), http, other);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_combination_is_as_the_table_says),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
