#include "dns/message.h"

#include <arpa/inet.h>
#include <errno.h>

#define JUMPS_MOST   32 /* pointers in one name */
#define ALIASES_MOST 16 /* CNAMEs one behind the other */
#define RECORDS_MOST 512
#define TTL_MOST     0x7fffffffu /* RFC 2181 8: more is 0 */
#define POINTER_BITS 0xc0

struct reader {
	struct span message;
	size_t at;
	bool is_bad;
};

struct record {
	char owner[DNS_NAME_MAX];
	uint16_t type;
	uint32_t ttl_s;
	size_t data_at; /* of its data, in the message */
	uint16_t data_size;
};

/* ---- bytes ---- */

static bool has(struct reader *reader, size_t size)
{
	if (reader->is_bad || reader->message.size - reader->at < size)
		reader->is_bad = true;
	return !reader->is_bad;
}

static uint16_t take_16(struct reader *reader)
{
	if (!has(reader, 2))
		return 0;
	const unsigned char *bytes = (const unsigned char *)reader->message.data + reader->at;
	reader->at += 2;
	return (uint16_t)(bytes[0] << 8 | bytes[1]);
}

static uint32_t take_32(struct reader *reader)
{
	uint32_t high = take_16(reader);
	return high << 16 | take_16(reader);
}

static void skip(struct reader *reader, size_t size)
{
	if (has(reader, size))
		reader->at += size;
}

/* ---- names ---- */

static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c | 0x20) : c;
}

/* One label. What no host's name has becomes '?', so that no two texts mean the same. */
static bool add_label(struct reader *label, size_t size, char name[DNS_NAME_MAX], size_t *length)
{
	if (!has(label, size) || *length + size + 1 >= DNS_NAME_MAX)
		return false;
	if (*length)
		name[(*length)++] = '.';
	for (size_t i = 0; i < size; i++) {
		char c = lower(label->message.data[label->at++]);
		bool is_plain =
			(c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') || c == '-' || c == '_';
		name[(*length)++] = is_plain ? c : '?';
	}
	return true;
}

/* A name, whose pointers lead only backwards (RFC 1035 4.1.4); the reader stands behind it then. */
static void take_name(struct reader *reader, char name[DNS_NAME_MAX])
{
	struct reader label = *reader;
	size_t length = 0;
	size_t end = 0; /* behind the first pointer; 0 = none yet */
	unsigned jumps = 0;
	while (has(&label, 1)) {
		size_t start = label.at;
		unsigned size = (unsigned char)label.message.data[label.at++];
		if (size == 0) {
			name[length] = '\0';
			reader->at = end ? end : label.at;
			return;
		}
		if ((size & POINTER_BITS) == POINTER_BITS) {
			label.at--;
			size_t to = take_16(&label) & 0x3fff;
			end = end ? end : label.at;
			if (to >= start || ++jumps > JUMPS_MOST)
				break;
			label.at = to;
		} else if ((size & POINTER_BITS) || !add_label(&label, size, name, &length)) {
			break;
		}
	}
	reader->is_bad = true;
	name[0] = '\0';
}

bool dns_name_is_valid(struct span name)
{
	size_t label = 0;
	if (name.size && name.data[name.size - 1] == '.')
		name.size--;
	if (name.size == 0 || name.size > DNS_NAME_MAX - 3)
		return false;
	for (size_t i = 0; i < name.size; i++) {
		char c = lower(name.data[i]);
		if (c == '.' && label == 0)
			return false;
		if (c == '.') {
			label = 0;
			continue;
		}
		if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '-' && c != '_')
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0;
}

/* In lower case and without the last dot, as names in messages are read here. */
static void normalise(const char *name, char ret_name[DNS_NAME_MAX])
{
	size_t size = strnlen(name, DNS_NAME_MAX - 1);
	if (size && name[size - 1] == '.')
		size--;
	for (size_t i = 0; i < size; i++)
		ret_name[i] = lower(name[i]);
	ret_name[size] = '\0';
}

/* ---- records ---- */

static void take_record(struct reader *reader, struct record *record)
{
	take_name(reader, record->owner);
	record->type = take_16(reader);
	uint16_t class = take_16(reader);
	record->ttl_s = take_32(reader);
	record->data_size = take_16(reader);
	record->data_at = reader->at;
	if (class != 1) /* no Internet's; EDNS's pseudo-record has a size here */
		record->type = 0;
	if (record->ttl_s > TTL_MOST)
		record->ttl_s = 0;
	skip(reader, record->data_size);
}

static struct reader data_of(struct span message, const struct record *record)
{
	return (struct reader){span_of(message.data, record->data_at + record->data_size),
			       record->data_at, false};
}

static uint32_t least(uint32_t a, uint32_t b)
{
	return a < b ? a : b;
}

/* What is asked, as it was at first and as aliases lead it on. */
struct reading {
	struct span message;
	struct dns_answer *answer;
	enum dns_type type;
	char name[DNS_NAME_MAX];
	uint16_t counts[3]; /* records of the answer, the authority and the additional section */
	size_t first;       /* byte of the first record */
	unsigned aliases;   /* that were followed */
};

/* Calls `visit` for each record of the sections; false: the message is bad. */
static bool each_record(struct reading *reading, unsigned first_section, unsigned last_section,
			bool (*visit)(struct reading *reading, const struct record *record))
{
	struct reader reader = {reading->message, reading->first, false};
	struct record record;
	unsigned left = RECORDS_MOST;
	for (unsigned section = 0; section <= last_section; section++) {
		for (unsigned i = 0; i < reading->counts[section] && left; i++, left--) {
			take_record(&reader, &record);
			if (reader.is_bad)
				return false;
			if (section >= first_section && !visit(reading, &record))
				return false;
		}
	}
	return true;
}

static bool follow_alias(struct reading *reading, const struct record *record)
{
	if (record->type != DNS_CNAME || strcmp(record->owner, reading->name) != 0)
		return true;
	struct reader data = data_of(reading->message, record);
	take_name(&data, reading->name);
	reading->answer->ttl_s = least(reading->answer->ttl_s, record->ttl_s);
	return !data.is_bad && ++reading->aliases <= ALIASES_MOST;
}

/* They need not stand in order, and may lead round. */
static bool follow_aliases(struct reading *reading)
{
	unsigned before;
	do {
		before = reading->aliases;
		if (!each_record(reading, 0, 0, follow_alias))
			return false;
	} while (reading->aliases > before);
	return true;
}

static bool read_address(struct span message, const struct record *record,
			 struct weft_address *ret_address)
{
	const char *data = message.data + record->data_at;
	*ret_address = (struct weft_address){.ip = {[10] = 0xff, [11] = 0xff}};
	if (record->type == DNS_A && record->data_size == 4)
		memcpy(ret_address->ip + 12, data, 4);
	else if (record->type == DNS_AAAA && record->data_size == 16)
		memcpy(ret_address->ip, data, 16);
	else
		return false;
	return true;
}

/* Nobody can be dialled at an unspecified or a multicast address. */
static bool is_dialled(const struct weft_address *address)
{
	unsigned first = address_is_v4(address) ? address->ip[12] : address->ip[0];
	bool is_group = address_is_v4(address) ? (first & 0xf0) == 0xe0 : first == 0xff;
	return !is_group && !address_is_any(address);
}

static bool add_address(struct reading *reading, const struct record *record, uint16_t server)
{
	struct dns_answer *answer = reading->answer;
	struct weft_address address;
	if (!read_address(reading->message, record, &address))
		return false;
	if (!is_dialled(&address) || answer->address_count == DNS_ADDRESSES_MAX)
		return true;
	answer->ttl_s = least(answer->ttl_s, record->ttl_s);
	answer->addresses[answer->address_count++] =
		(struct dns_address){record->ttl_s, server, address};
	return true;
}

static bool add_server(struct reading *reading, const struct record *record)
{
	struct dns_answer *answer = reading->answer;
	struct reader data = data_of(reading->message, record);
	if (answer->server_count == DNS_SERVERS_MAX)
		return true;
	struct dns_server *server = &answer->servers[answer->server_count];
	server->priority = take_16(&data);
	server->weight = take_16(&data);
	server->port = take_16(&data);
	take_name(&data, server->target);
	if (data.is_bad)
		return false;
	answer->ttl_s = least(answer->ttl_s, record->ttl_s);
	answer->server_count++;
	return true;
}

static bool take_answer(struct reading *reading, const struct record *record)
{
	if (record->type != reading->type || strcmp(record->owner, reading->name) != 0)
		return true;
	return reading->type == DNS_SRV ? add_server(reading, record)
					: add_address(reading, record, 0);
}

static bool take_additional(struct reading *reading, const struct record *record)
{
	const struct dns_answer *answer = reading->answer;
	if (record->type != DNS_A && record->type != DNS_AAAA)
		return true;
	for (uint16_t i = 0; i < answer->server_count; i++) {
		if (strcmp(answer->servers[i].target, record->owner) == 0)
			return add_address(reading, record, i);
	}
	return true;
}

static bool take_authority(struct reading *reading, const struct record *record)
{
	char name[DNS_NAME_MAX];
	if (record->type != DNS_SOA)
		return true;
	struct reader data = data_of(reading->message, record);
	take_name(&data, name);
	take_name(&data, name);
	skip(&data, 16); /* serial, refresh, retry, expire */
	uint32_t minimum_s = take_32(&data);
	reading->answer->negative_ttl_s = least(record->ttl_s, minimum_s);
	return !data.is_bad;
}

int dns_answer_read(struct span message, const char *name, enum dns_type type,
		    struct dns_answer *ret_answer)
{
	struct reader reader = {.message = message};
	struct reading reading = {.message = message, .answer = ret_answer, .type = type};
	char asked[DNS_NAME_MAX];
	*ret_answer = (struct dns_answer){.ttl_s = UINT32_MAX, .negative_ttl_s = UINT32_MAX};
	normalise(name, reading.name);
	skip(&reader, 4);
	uint16_t questions = take_16(&reader);
	for (unsigned i = 0; i < 3; i++)
		reading.counts[i] = take_16(&reader);
	for (unsigned i = 0; i < questions && !reader.is_bad; i++) {
		take_name(&reader, asked);
		skip(&reader, 4);
	}
	reading.first = reader.at;
	if (reader.is_bad || !follow_aliases(&reading) ||
	    !each_record(&reading, 0, 0, take_answer) ||
	    !each_record(&reading, 1, 1, take_authority) ||
	    (type == DNS_SRV && !each_record(&reading, 2, 2, take_additional)))
		return -EBADMSG;
	return 0;
}
