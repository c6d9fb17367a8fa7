#include "daemon/config_value.h"

#include "common/keytext.h"
#include "common/units.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

/* One item of a list is at most a host of HOST_MAX in brackets with its port. */
enum { ITEM_MAX = HOST_MAX + 16, SHOWN_MAX = 80 };

static bool
is_letter_or_digit(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9');
}

static bool
is_printable(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text < 0x20 || *text > 0x7e)
			return false;
	}
	return true;
}

static int
parse_number(const struct config_key *key, const char *text, void *ret_field)
{
	uint64_t v;

	if (units_parse_number(text, key->min, key->max, &v) < 0)
		return -EINVAL;
	*(uint32_t *)ret_field = (uint32_t)v;
	return 0;
}

static int
store_text(const struct config_key *key, const char *text, char *ret_field)
{
	size_t len = strlen(text);

	if (len == 0 || len > key->max)
		return -EINVAL;
	memcpy(ret_field, text, len + 1);
	return 0;
}

static int
parse_path(const struct config_key *key, const char *text, void *ret_field)
{
	if (text[0] != '/' || !is_printable(text))
		return -EINVAL;
	return store_text(key, text, ret_field);
}

static int
parse_user(const struct config_key *key, const char *text, void *ret_field)
{
	/* In HTTP's Basic scheme the name ends at the first colon. */
	if (!is_printable(text) || strchr(text, ':') != NULL)
		return -EINVAL;
	return store_text(key, text, ret_field);
}

static int
parse_congestion(const struct config_key *key, const char *text, void *ret_field)
{
	for (const char *p = text; *p != '\0'; p++) {
		if (!is_letter_or_digit(*p) && *p != '_' && *p != '-')
			return -EINVAL;
	}
	return store_text(key, text, ret_field);
}

/* What the kernel takes as a name (dev_valid_name), but for odd characters. */
static int
parse_interface(const struct config_key *key, const char *text, void *ret_field)
{
	if (!is_printable(text) || strpbrk(text, " /:*?[]\"'\\") != NULL ||
	    strcmp(text, ".") == 0 || strcmp(text, "..") == 0)
		return -EINVAL;
	return store_text(key, text, ret_field);
}

static int
parse_glob(const struct config_key *key, const char *text, void *ret_field)
{
	size_t len = strlen(text);

	(void)key;
	if (len == 0 || len >= IF_NAMESIZE || !is_printable(text) ||
	    strpbrk(text, " /:\"'\\") != NULL)
		return -EINVAL;
	memcpy(ret_field, text, len + 1);
	return 0;
}

static int
parse_key(const struct config_key *key, const char *text, void *ret_field)
{
	(void)key;
	return keytext_parse(text, ret_field);
}

static int
parse_addr(const struct config_key *key, const char *text, void *ret_field)
{
	struct addr a;

	(void)key;
	if (addr_parse(text, &a) < 0)
		return -EINVAL;
	/* [::ffff:0.0.0.0] is a wildcard, and must be seen as one. */
	addr_unmap(&a);
	*(struct addr *)ret_field = a;
	return 0;
}

/* Letters, digits, '-' and '_' in labels of 1 to 63 (RFC 1035, 2.3.4). */
static bool
is_host_name(const char *host)
{
	size_t label = 0;

	for (; *host != '\0'; host++) {
		if (*host == '.' && label > 0) {
			label = 0;
			continue;
		}
		if (!is_letter_or_digit(*host) && *host != '-' && *host != '_')
			return false;
		if (++label > 63)
			return false;
	}
	return label > 0;
}

static int
parse_host(const struct config_key *key, const char *text, void *ret_field)
{
	struct config_host h = {0};
	struct addr a;

	(void)key;
	if (addr_split(text, h.host, sizeof(h.host), &h.port) < 0)
		return -EINVAL;
	if (text[0] == '[') {
		if (addr_parse_ip(h.host, &a) < 0 || a.family != AF_INET6)
			return -EINVAL;
	} else if (!is_host_name(h.host)) {
		return -EINVAL;
	}
	*(struct config_host *)ret_field = h;
	return 0;
}

static int
parse_prefix(const struct config_key *key, const char *text, void *ret_field)
{
	(void)key;
	return prefix_parse(text, ret_field);
}

static const struct {
	int (*parse)(const struct config_key *key, const char *text, void *ret_field);
	size_t size;      /* of an item of a list */
	const char *what; /* "x" is not ... */
} types[] = {
	[TYPE_NUMBER] = {parse_number, 0, NULL},
	[TYPE_PATH] = {parse_path, 0, "an absolute path"},
	[TYPE_USER] = {parse_user, 0, "a user name: printable, without a colon"},
	[TYPE_CONGESTION] = {parse_congestion, 0,
			     "the name of a congestion control, such as bbr or cubic"},
	[TYPE_INTERFACE] = {parse_interface, 0, "the name of an interface"},
	[TYPE_KEY] = {parse_key, 0,
		      "a key of 44 characters, as mpproxyctl pubkey prints it"},
	[TYPE_ADDR] = {parse_addr, sizeof(struct addr),
		       "an address with a port, such as 192.0.2.1:443 or "
		       "[2001:db8::1]:443"},
	[TYPE_HOST] = {parse_host, sizeof(struct config_host),
		       "a host with a port, such as vps.example.net:4433 or "
		       "[2001:db8::1]:443"},
	[TYPE_GLOB] = {parse_glob, IF_NAMESIZE,
		       "a pattern of interface names, such as wwan*"},
	[TYPE_PREFIX] = {parse_prefix, sizeof(struct prefix),
			 "a range of addresses without host bits, such as 10.0.0.0/8"},
};

static int
refuse_word(const struct config_key *key, const char *shown, struct errmsg *why)
{
	char list[SHOWN_MAX] = "";
	size_t n = 0;

	for (const struct config_word *w = key->words; w->text != NULL; w++) {
		if (w->hidden)
			continue;
		n += (size_t)snprintf(list + n, sizeof(list) - n, "%s%s",
				      n > 0 ? ", " : "", w->text);
		assert(n < sizeof(list));
	}
	return errmsg_set(why, -EINVAL, "\"%s\" is not one of %s", shown, list);
}

static int
set_word(const struct config_key *key, const char *text, const char *shown, void *field,
	 struct errmsg *why)
{
	const struct config_word *word;

	if (config_word_find(key->words, text, &word) < 0)
		return refuse_word(key, shown, why);
	if (word->refusal != NULL)
		return errmsg_set(why, -EINVAL, "\"%s\": %s", shown, word->refusal);
	if (key->type == TYPE_BOOL)
		*(bool *)field = word->value != 0;
	else
		*(unsigned *)field = word->value;
	return 0;
}

static int
set_item(const struct config_key *key, const char *text, void *field,
	 struct errmsg *why)
{
	char shown[SHOWN_MAX];

	errmsg_escape(shown, sizeof(shown), text, strlen(text));
	if (key->words != NULL)
		return set_word(key, text, shown, field, why);
	if (types[key->type].parse(key, text, field) == 0)
		return 0;
	if (key->type == TYPE_NUMBER)
		return errmsg_set(why, -EINVAL,
				  "\"%s\" is not a whole number from %" PRIu32
				  " to %" PRIu32,
				  shown, key->min, key->max);
	if (key->type >= TYPE_PATH && key->type <= TYPE_INTERFACE)
		return errmsg_set(why, -EINVAL,
				  "\"%s\" is not %s, of at most %" PRIu32 " bytes",
				  shown, types[key->type].what, key->max);
	return errmsg_set(why, -EINVAL, "\"%s\" is not %s", shown,
			  types[key->type].what);
}

/* Copies what stands before the next comma, without blanks around it. */
static int
next_item(const char **text, char *ret_item, size_t cap)
{
	const char *p = *text + strspn(*text, " \t");
	size_t len = strcspn(p, ",");

	*text = p + len;
	while (len > 0 && (p[len - 1] == ' ' || p[len - 1] == '\t'))
		len--;
	if (len >= cap)
		return -EINVAL;
	memcpy(ret_item, p, len);
	ret_item[len] = '\0';
	return 0;
}

static int
set_list(const struct config_key *key, void *base, const char *text, struct errmsg *why)
{
	uint8_t *items = (uint8_t *)base + key->offset;
	char item[ITEM_MAX];
	size_t n = 0;
	int err;

	for (bool more = true; more; text++) {
		if (next_item(&text, item, sizeof(item)) < 0)
			return errmsg_set(why, -EINVAL, "an item is too long");
		if (item[0] == '\0')
			return errmsg_set(why, -EINVAL, "there is a comma too many");
		if (n == key->max)
			return errmsg_set(why, -EINVAL, "more than %" PRIu32 " items",
					  key->max);
		err = set_item(key, item, items + n * types[key->type].size, why);
		if (err < 0)
			return err;
		n++;
		more = *text == ',';
	}
	memcpy((uint8_t *)base + key->count, &n, sizeof(n));
	return 0;
}

int
config_value_set(const struct config_key *key, void *base, const char *text,
		 struct errmsg *why)
{
	if (key->count != 0)
		return set_list(key, base, text, why);
	return set_item(key, text, (uint8_t *)base + key->offset, why);
}
