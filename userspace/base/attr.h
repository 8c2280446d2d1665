/* Compiler attributes with names. Any room, any thread. */
#ifndef BASE_ATTR_H
#define BASE_ATTR_H

#define MUST_CHECK             __attribute__((warn_unused_result))
#define PRINTF_LIKE(fmt, args) __attribute__((format(printf, fmt, args)))

#define container_of(pointer, type, member)                                                        \
	((type *)(void *)((char *)(pointer) - __builtin_offsetof(type, member)))
#define array_count(a) (sizeof(a) / sizeof((a)[0]))

#endif
