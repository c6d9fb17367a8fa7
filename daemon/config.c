#include "daemon/config.h"

#include "daemon/config_check.h"
#include "daemon/config_scan.h"
#include "daemon/config_value.h"

#include <fcntl.h>
#include <iniparser/iniparser.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

enum {
	/* What a file name may take in a sentence. */
	SHOWN_MAX = 200,
	/* As many as the kinds allow together; config_kinds has the parts. */
	SECTIONS_MAX = 3 + UPLINKS_MAX + CONFIG_LISTENERS_MAX + CONFIG_PEERS_MAX,
	/* "[kind name]" */
	TITLE_MAX = CONFIG_KEY_NAME_MAX + NAME_MAX_LEN + 4,
};

struct section {
	const struct config_kind_info *info;
	char name[NAME_MAX_LEN];
	unsigned line;
	unsigned key_line[CONFIG_KEYS_MAX]; /* by place in the table; 0: not there */
};

/* One reading of one file. */
struct reader {
	const char *file; /* fit to be shown */
	struct section *sections;
	size_t n_sections;
	dictionary *ini;
	struct config *config;
	struct errmsg *why;
};

struct title {
	char s[TITLE_MAX];
};

static enum config_kind
kind_of(const struct section *s)
{
	return (enum config_kind)(s->info - config_kinds);
}

static struct title
title_of(const struct section *s)
{
	struct title t;

	snprintf(t.s, sizeof(t.s), "[%s%s%s]", s->info->name,
		 s->name[0] != '\0' ? " " : "", s->name);
	return t;
}

static void
lower(char *text)
{
	for (; *text != '\0'; text++) {
		if (*text >= 'A' && *text <= 'Z')
			*text = (char)(*text - 'A' + 'a');
	}
}

/* Puts file and line before what `why` says already. */
static int
at_line(struct reader *r, unsigned line)
{
	errmsg_prefix(r->why, "%s:%u", r->file, line);
	return -EINVAL;
}

static int
refuse_kind(struct reader *r, const struct config_line *l)
{
	const struct config_kind_info *near = config_kind_suggest(l->word);

	if (near == NULL)
		return errmsg_set(r->why, -EINVAL, "[%s] is not a known section",
				  l->word);
	return errmsg_set(r->why, -EINVAL,
			  "[%s] is not a known section; did you mean [%s%s]?", l->word,
			  near->name, near->has_name ? " NAME" : "");
}

/* How many there are of this kind; `ret_same`: the one of this name, or NULL. */
static size_t
count_sections(const struct reader *r, const struct config_kind_info *info,
	       const char *name, const struct section **ret_same)
{
	size_t n = 0;

	*ret_same = NULL;
	for (size_t i = 0; i < r->n_sections; i++) {
		const struct section *s = &r->sections[i];

		if (s->info != info)
			continue;
		n++;
		if (strcmp(s->name, name) == 0)
			*ret_same = s;
	}
	return n;
}

static int
add_section(struct reader *r, struct config_line *l, unsigned line)
{
	const struct config_kind_info *info = config_kind_find(l->word);
	const struct section *same;
	struct section *s;
	size_t n;

	if (info == NULL)
		return refuse_kind(r, l);
	if (info->has_name && l->name[0] == '\0')
		return errmsg_set(r->why, -EINVAL, "[%s] needs a name: [%s NAME]",
				  info->name, info->name);
	if (!info->has_name && l->name[0] != '\0')
		return errmsg_set(r->why, -EINVAL, "[%s] has no name", info->name);
	/* As iniparser does; so names are the same whatever their case. */
	lower(l->name);
	n = count_sections(r, info, l->name, &same);
	if (same != NULL)
		return errmsg_set(r->why, -EINVAL,
				  "%s is there twice; first in line %u",
				  title_of(same).s, same->line);
	if (n == info->max)
		return errmsg_set(r->why, -EINVAL,
				  "there are more than %u [%s NAME] sections",
				  info->max, info->name);
	assert(r->n_sections < SECTIONS_MAX);
	s = &r->sections[r->n_sections++];
	s->info = info;
	memcpy(s->name, l->name, sizeof(s->name));
	s->line = line;
	return 0;
}

static int
refuse_key(struct reader *r, const struct section *s, const char *word)
{
	const struct config_key *near = config_key_suggest(kind_of(s), word);
	const struct config_kind_info *home;

	if (near == NULL)
		return errmsg_set(r->why, -EINVAL, "%s %s: is not a known key",
				  title_of(s).s, word);
	if (near->kind == kind_of(s))
		return errmsg_set(r->why, -EINVAL,
				  "%s %s: is not a known key; did you mean %s?",
				  title_of(s).s, word, near->name);
	home = &config_kinds[near->kind];
	return errmsg_set(r->why, -EINVAL,
			  "%s %s: is not a key of this section; it belongs in [%s%s]",
			  title_of(s).s, word, home->name,
			  home->has_name ? " NAME" : "");
}

static int
add_key(struct reader *r, const struct config_line *l, unsigned line)
{
	const struct config_key *key;
	struct section *s;
	unsigned *seen;

	if (r->n_sections == 0)
		return errmsg_set(r->why, -EINVAL,
				  "%s: stands before the first [section]", l->word);
	s = &r->sections[r->n_sections - 1];
	key = config_key_find(kind_of(s), l->word);
	if (key == NULL)
		return refuse_key(r, s, l->word);
	seen = &s->key_line[key - config_keys];
	if (*seen != 0)
		return errmsg_set(r->why, -EINVAL,
				  "%s %s: is there twice; first in line %u",
				  title_of(s).s, key->name, *seen);
	*seen = line;
	return 0;
}

/* Notes what is where, and refuses what iniparser would not. */
static int
scan(struct reader *r, const char *text, size_t len)
{
	struct config_scan s = {.text = text, .len = len};
	struct config_line l = {.what = LINE_KEY};
	int err = 0;

	while (err == 0 && l.what != LINE_END) {
		err = config_scan_next(&s, &l, r->why);
		if (err == 0 && l.what == LINE_SECTION)
			err = add_section(r, &l, s.line);
		else if (err == 0 && l.what == LINE_KEY)
			err = add_key(r, &l, s.line);
	}
	return err < 0 ? at_line(r, s.line) : 0;
}

/* iniparser would write to standard error; what it finds, scan() has found. */
static int
say_nothing(const char *fmt, ...)
{
	(void)fmt;
	return 0;
}

/* iniparser reads files only; this is one that nobody else can change. */
static dictionary *
load_ini(const char *text, size_t len)
{
	char path[32];
	dictionary *ini = NULL;
	int fd = memfd_create("config", MFD_CLOEXEC);

	if (fd < 0)
		return NULL;
	if (write(fd, text, len) == (ssize_t)len) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		iniparser_set_error_callback(say_nothing);
		ini = iniparser_load(path);
		iniparser_set_error_callback(NULL);
	}
	close(fd);
	return ini;
}

/* "/run/{role}.sock" becomes "/run/client.sock". */
static void
expand(const struct reader *r, const struct section *s, const char *text,
       char *ret_text, size_t cap)
{
	const char *open = strchr(text, '{');
	const char *word = s->name;

	if (open == NULL) {
		snprintf(ret_text, cap, "%s", text);
		return;
	}
	if (strncmp(open, "{role}", 6) == 0)
		word = config_word_of(config_roles, r->config->role);
	snprintf(ret_text, cap, "%.*s%s%s", (int)(open - text), text, word,
		 strchr(open, '}') + 1);
}

static int
set_key(struct reader *r, const struct section *s, const struct config_key *key,
	void *base)
{
	bool there = s->key_line[key - config_keys] != 0;
	bool fits = key->roles & (1 << r->config->role);
	char path[TITLE_MAX + CONFIG_KEY_NAME_MAX], initial[CONFIG_PATH_MAX];
	const char *text = NULL;

	if (there && !fits)
		return errmsg_set(r->why, -EINVAL, "belongs to the other role than %s",
				  config_word_of(config_roles, r->config->role));
	if (!there && fits && key->required)
		return errmsg_set(r->why, -EINVAL, "is missing: %s", key->help);
	if (there) {
		snprintf(path, sizeof(path), "%s%s%s:%s", s->info->name,
			 s->name[0] != '\0' ? " " : "", s->name, key->name);
		text = iniparser_getstring(r->ini, path, "");
	} else if (fits && key->initial != NULL) {
		expand(r, s, key->initial, initial, sizeof(initial));
		text = initial;
	}
	return text == NULL ? 0 : config_value_set(key, base, text, r->why);
}

static int
set_section(struct reader *r, const struct section *s, void *base)
{
	for (size_t i = 0; i < config_n_keys; i++) {
		const struct config_key *key = &config_keys[i];

		if (key->kind != kind_of(s) || set_key(r, s, key, base) == 0)
			continue;
		errmsg_prefix(r->why, "%s: %s %s", r->file, title_of(s).s, key->name);
		return -EINVAL;
	}
	return 0;
}

/* Where the fields of a section are, with its name in them. */
static void *
base_of(struct config *c, const struct section *s)
{
	char *name = NULL;
	void *base = c;

	switch (kind_of(s)) {
	case KIND_GENERAL:
	case KIND_UPLINKS: break;
	case KIND_UPLINK:
		base = &c->uplinks[c->n_uplinks];
		name = c->uplinks[c->n_uplinks++].name;
		break;
	case KIND_SERVER:
		base = &c->server;
		name = c->server.name;
		break;
	case KIND_LISTEN:
		base = &c->listeners[c->n_listeners];
		name = c->listeners[c->n_listeners++].name;
		break;
	case KIND_PEER:
		base = &c->peers[c->n_peers];
		name = c->peers[c->n_peers++].name;
		break;
	case KIND_COUNT: assert(false);
	}
	if (name != NULL)
		memcpy(name, s->name, sizeof(s->name));
	return base;
}

/* [general] goes first: its role decides what the others may be. */
static int
fill(struct reader *r)
{
	const struct section *general;
	size_t n_peers;
	int err;

	count_sections(r, &config_kinds[KIND_GENERAL], "", &general);
	if (general == NULL)
		return errmsg_set(r->why, -EINVAL, "%s: there is no [general] section",
				  r->file);
	err = set_section(r, general, r->config);
	n_peers = count_sections(r, &config_kinds[KIND_PEER], "", &general);
	if (err == 0 && n_peers > 0) {
		r->config->peers = calloc(n_peers, sizeof(*r->config->peers));
		if (r->config->peers == NULL)
			return errmsg_set(r->why, -ENOMEM, "%s: no memory", r->file);
	}
	for (size_t i = 0; err == 0 && i < r->n_sections; i++) {
		const struct section *s = &r->sections[i];

		if (kind_of(s) == KIND_GENERAL)
			continue;
		if (!(s->info->roles & (1 << r->config->role)))
			return errmsg_set(
				r->why, -EINVAL, "%s: %s: does not belong to a %s",
				r->file, title_of(s).s,
				config_word_of(config_roles, r->config->role));
		err = set_section(r, s, base_of(r->config, s));
	}
	return err;
}

static int
read_text(struct reader *r, const char *text, size_t len)
{
	int err;

	r->sections = calloc(SECTIONS_MAX, sizeof(*r->sections));
	r->config = calloc(1, sizeof(*r->config));
	if (r->sections == NULL || r->config == NULL)
		return errmsg_set(r->why, -ENOMEM, "%s: no memory", r->file);
	err = scan(r, text, len);
	if (err < 0)
		return err;
	r->ini = load_ini(text, len);
	if (r->ini == NULL)
		return errmsg_set(r->why, -EIO, "%s: cannot be read by way of /proc",
				  r->file);
	err = fill(r);
	if (err < 0)
		return err;
	err = config_check(r->config, r->why);
	if (err < 0)
		errmsg_prefix(r->why, "%s", r->file);
	return err;
}

struct config *
config_parse(const char *file, const char *text, size_t len, struct errmsg *why)
{
	char shown[SHOWN_MAX];
	struct reader r = {.why = why};
	int err;

	r.file = errmsg_escape(shown, sizeof(shown), file, strlen(file));
	err = read_text(&r, text, len);
	if (r.ini != NULL)
		iniparser_freedict(r.ini);
	free(r.sections);
	if (err == 0)
		return r.config;
	config_free(r.config);
	return NULL;
}

/* The whole file, which may be CONFIG_FILE_MAX bytes. */
static int
slurp(int fd, char **ret_text, size_t *ret_len)
{
	char *text;
	ssize_t got = 1;
	size_t len = 0;
	struct stat st;
	int err = 0;

	if (fstat(fd, &st) < 0)
		return -errno;
	if (!S_ISREG(st.st_mode))
		return -EINVAL;
	text = malloc(CONFIG_FILE_MAX + 1);
	if (text == NULL)
		return -ENOMEM;
	while (got != 0 && len <= CONFIG_FILE_MAX && err == 0) {
		got = read(fd, text + len, CONFIG_FILE_MAX + 1 - len);
		if (got > 0)
			len += (size_t)got;
		else if (got < 0 && errno != EINTR)
			err = -errno;
	}
	if (err == 0 && len > CONFIG_FILE_MAX)
		err = -EFBIG;
	if (err < 0) {
		free(text);
		return err;
	}
	*ret_text = text;
	*ret_len = len;
	return 0;
}

static int
read_file(const char *file, char **ret_text, size_t *ret_len)
{
	int fd = open(file, O_RDONLY | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = slurp(fd, ret_text, ret_len);
	close(fd);
	return err;
}

struct config *
config_load(const char *file, struct errmsg *why)
{
	char shown[SHOWN_MAX];
	struct config *c;
	const char *doubt;
	char *text = NULL;
	size_t len = 0;
	int err;

	errmsg_escape(shown, sizeof(shown), file, strlen(file));
	err = read_file(file, &text, &len);
	if (err < 0) {
		const char *reason = err == -EINVAL  ? "it is not a regular file"
				     : err == -EFBIG ? "it is larger than 1 MiB"
						     : strerror(-err);

		errmsg_set(why, err, "%s: cannot be read: %s", shown, reason);
		return NULL;
	}
	c = config_parse(file, text, len, why);
	free(text);
	doubt = c != NULL ? config_check_doubt(c) : NULL;
	if (doubt != NULL)
		log_warn("%s: %s", shown, doubt);
	return c;
}

void
config_free(struct config *c)
{
	if (c == NULL)
		return;
	free(c->peers);
	free(c);
}

int
config_parse_priority(const char *text, enum config_priority *ret_priority)
{
	const struct config_word *word;
	int err = config_word_find(config_priorities, text, &word);

	if (err == 0)
		*ret_priority = (enum config_priority)word->value;
	return err;
}

const char *
config_priority_name(enum config_priority p)
{
	return config_word_of(config_priorities, p);
}

const char *
config_ingress_name(enum config_ingress i)
{
	return config_word_of(config_ingresses, i);
}
