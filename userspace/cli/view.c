#include "cli/view.h"

#include <stdio.h>

#include "cli/client.h"
#include "cli/json_view.h"

bool view_is_in(const char *name, const char *namespace)
{
	static const char services[] = "/svc/";
	size_t size = namespace ? strlen(namespace) : 0;
	if (!namespace)
		return true;
	if (strncmp(name, services, sizeof(services) - 1) == 0)
		name += sizeof(services) - 1;
	return strncmp(name, namespace, size) == 0 && name[size] == '/';
}

static bool item_is_in(const cJSON *item, const char *namespace)
{
	static const char *const keys[] = {"name", "service", "source", "destination", "pod"};
	for (size_t i = 0; i < array_count(keys); i++) {
		if (view_is_in(view_text(item, keys[i]), namespace))
			return true;
	}
	return false;
}

static void list_keep(cJSON *list, const char *namespace)
{
	for (cJSON *item = list->child, *next; item; item = next) {
		next = item->next;
		if (!item_is_in(item, namespace))
			cJSON_Delete(cJSON_DetachItemViaPointer(list, item));
	}
}

void view_keep(cJSON *json, const char *namespace)
{
	if (!namespace)
		return;
	if (cJSON_IsArray(json))
		list_keep(json, namespace);
	for (cJSON *list = cJSON_IsObject(json) ? json->child : NULL; list; list = list->next) {
		if (cJSON_IsArray(list))
			list_keep(list, namespace);
	}
}

static int print_json(const cJSON *json)
{
	char *printed = cJSON_PrintUnformatted(json);
	if (!printed) {
		complain("out of memory");
		return EXIT_FAILED;
	}
	puts(printed);
	cJSON_free(printed);
	return EXIT_OK;
}

static int print_table(const cJSON *json, void (*build)(const cJSON *json, struct text *text))
{
	struct text text = {0};
	build(json, &text);
	fputs(text.data ? text.data : "", stdout);
	text_fini(&text);
	return EXIT_OK;
}

int view_show(const struct view_options *options, const char *path,
	      void (*build)(const cJSON *json, struct text *text))
{
	if (options->wants_json && !options->namespace)
		return client_print(options->socket, path); /* its very bytes */
	cJSON *json = client_json(options->socket, path);
	if (!json)
		return EXIT_FAILED;
	view_keep(json, options->namespace);
	int status = options->wants_json ? print_json(json) : print_table(json, build);
	cJSON_Delete(json);
	return status;
}
