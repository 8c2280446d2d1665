#include "kube/read_meta.h"

#define CIDRS_MOST     16
#define ADDRESSES_MOST 64

static bool read_cidr(const char *text, struct kube_cidr *cidr)
{
	const char *slash = strchr(text, '/');
	uint64_t bits = 0;
	if (!slash || span_to_u64(span_text(slash + 1), &bits) ||
	    address_parse_ip(span_of(text, (size_t)(slash - text)), 0, &cidr->base))
		return false;
	cidr->bits = (uint8_t)bits;
	return bits <= (address_is_v4(&cidr->base) ? 32u : 128u);
}

static void read_cidrs(struct reader *reader, const cJSON *spec, struct kube_node *node)
{
	const cJSON *list = reader_array(reader, spec, "podCIDRs");
	uint32_t count = reader_count(reader, list, "podCIDRs", CIDRS_MOST);
	struct kube_cidr *cidrs = reader_take(reader, count, sizeof(*cidrs));
	const cJSON *element;
	node->pod_cidrs = cidrs;
	cJSON_ArrayForEach(element, list)
	{
		if (!cidrs || node->cidr_count == count)
			break;
		if (cJSON_IsString(element) &&
		    read_cidr(element->valuestring, &cidrs[node->cidr_count]))
			node->cidr_count++;
		else
			reader_fault(reader, "podCIDRs");
	}
}

/* Host names stand in the same list. */
static bool is_ip_type(const char *type)
{
	return strcmp(type, "InternalIP") == 0 || strcmp(type, "ExternalIP") == 0;
}

static void read_addresses(struct reader *reader, const cJSON *status, struct kube_node *node)
{
	const cJSON *list = reader_array(reader, status, "addresses");
	uint32_t count = reader_count(reader, list, "addresses", ADDRESSES_MOST);
	struct weft_address *addresses = reader_take(reader, count, sizeof(*addresses));
	const cJSON *element;
	node->addresses = addresses;
	cJSON_ArrayForEach(element, list)
	{
		if (!addresses || node->address_count == count)
			break;
		if (is_ip_type(reader_text(reader, element, "type")) &&
		    reader_address(reader, reader_text(reader, element, "address"), "address",
				   &addresses[node->address_count]) == 0)
			node->address_count++;
	}
}

struct kube_object *read_node(struct reader *reader, const cJSON *json)
{
	struct kube_node *node = read_meta(reader, json, sizeof(*node));
	if (!node)
		return NULL;
	node->zone = read_label(reader, json, LABEL_ZONE);
	read_cidrs(reader, reader_object(reader, json, "spec"), node);
	read_addresses(reader, reader_object(reader, json, "status"), node);
	return &node->object;
}
