/*
 * config_table - every section and key of the configuration, once.
 *
 * Model:   the table drives parsing, defaults, the error for an unknown key,
 *          and the test that every key is in the samples and the man page.
 * Bounds:  CONFIG_KEYS_MAX keys in all.
 */
#ifndef DAEMON_CONFIG_TABLE_H
#define DAEMON_CONFIG_TABLE_H

#include "daemon/config.h"

enum { CONFIG_KEYS_MAX = 48, CONFIG_KEY_NAME_MAX = 32 };

enum config_kind {
	KIND_GENERAL,
	KIND_UPLINKS,
	KIND_UPLINK,
	KIND_SERVER,
	KIND_LISTEN,
	KIND_PEER,
	KIND_COUNT,
};

enum { FOR_CLIENT = 1 << ROLE_CLIENT, FOR_SERVER = 1 << ROLE_SERVER, FOR_BOTH = 3 };

struct config_kind_info {
	const char *name;
	bool has_name; /* [uplink NAME] */
	uint8_t roles;
	uint16_t max; /* sections of this kind in a file */
};

enum config_type {
	TYPE_WORD,
	TYPE_BOOL,
	TYPE_NUMBER, /* uint32_t from `min` to `max` */
	TYPE_PATH,   /* this and the next three: text of at most `max` bytes */
	TYPE_USER,
	TYPE_CONGESTION,
	TYPE_INTERFACE,
	TYPE_KEY,
	TYPE_ADDR,
	TYPE_HOST,
	/* With a `count` these are lists of at most `max` items. */
	TYPE_GLOB,
	TYPE_PREFIX,
};

struct config_word {
	const char *text; /* NULL ends the list */
	unsigned value;
	bool hidden;         /* understood, but not offered in errors */
	const char *refusal; /* why this word is not taken */
};

struct config_key {
	enum config_kind kind;
	const char *name;
	enum config_type type;
	uint8_t roles;
	bool required;
	/* As typed; NULL: empty. {name} is the section's, {role} the role. */
	const char *initial;
	uint32_t min, max;
	size_t offset;
	size_t count; /* offset of the number of items; 0: not a list */
	const struct config_word *words;
	const char *help;
};

extern const struct config_kind_info config_kinds[KIND_COUNT];
extern const struct config_key config_keys[];
extern const size_t config_n_keys;
extern const struct config_word config_roles[], config_priorities[], config_ingresses[];

/* NULL: no such thing. Both without regard to case. */
const struct config_key *config_key_find(enum config_kind kind, const char *name);
const struct config_kind_info *config_kind_find(const char *name);

/* What may have been meant by a key that is not there; NULL: no idea. */
const struct config_key *config_key_suggest(enum config_kind kind, const char *name);
const struct config_kind_info *config_kind_suggest(const char *name);

/* The word for a value, or the value of a word; -EINVAL: none of them. */
const char *config_word_of(const struct config_word *words, unsigned value);
int config_word_find(const struct config_word *words, const char *text,
		     const struct config_word **ret_word) MUST_CHECK;

#endif
