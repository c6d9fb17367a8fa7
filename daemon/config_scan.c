#include "daemon/config_scan.h"

#include <stdio.h>
#include <string.h>

/* A piece of the text; not ended by NUL. */
struct piece {
	const char *s;
	size_t len;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_comment(char c)
{
	return c == '#' || c == ';';
}

static bool
is_word_char(char c)
{
	return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') ||
	       (c >= '0' && c <= '9') || c == '_';
}

static bool
is_name_char(char c)
{
	return is_word_char(c) || c == '-' || c == '.';
}

static struct piece
trim(struct piece p)
{
	while (p.len > 0 && is_blank(p.s[0])) {
		p.s++;
		p.len--;
	}
	while (p.len > 0 && is_blank(p.s[p.len - 1]))
		p.len--;
	return p;
}

static int
refuse(struct errmsg *why, struct piece p, const char *what)
{
	char shown[80];

	errmsg_escape(shown, sizeof(shown), p.s, p.len);
	return errmsg_set(why, -EINVAL, "\"%s\" %s", shown, what);
}

/* Copies a word of the characters that `fits` knows. */
static int
take_word(struct piece p, bool (*fits)(char), char *ret_word, size_t cap)
{
	if (p.len == 0 || p.len >= cap)
		return -EINVAL;
	for (size_t i = 0; i < p.len; i++) {
		if (!fits(p.s[i]))
			return -EINVAL;
	}
	memcpy(ret_word, p.s, p.len);
	ret_word[p.len] = '\0';
	return 0;
}

/* "[kind]" or "[kind name]", with one blank: iniparser keeps what is between. */
static int
take_section(struct piece p, struct config_line *line, struct errmsg *why)
{
	struct piece inner = {p.s + 1, p.len - 2};
	struct piece kind, name = {NULL, 0};
	const char *blank;

	if (p.s[p.len - 1] != ']')
		return refuse(why, p, "does not end with ], as a section must");
	inner = trim(inner);
	kind = inner;
	blank = memchr(inner.s, ' ', inner.len);
	if (blank != NULL) {
		kind.len = (size_t)(blank - inner.s);
		name.s = blank + 1;
		name.len = inner.len - kind.len - 1;
	}
	line->what = LINE_SECTION;
	line->name[0] = '\0';
	if (take_word(kind, is_word_char, line->word, sizeof(line->word)) < 0)
		return refuse(why, p, "is not a section such as [general]");
	if (blank != NULL &&
	    take_word(name, is_name_char, line->name, sizeof(line->name)) < 0)
		return refuse(why, p,
			      "needs one blank and a name of at most 31 letters, "
			      "digits, '.', '-' or '_'");
	return 0;
}

static int
check_quoted(struct piece v, struct errmsg *why)
{
	const char *end = memchr(v.s + 1, v.s[0], v.len - 1);
	struct piece rest;

	if (end == NULL)
		return refuse(why, v, "has a quote that does not end");
	if (end == v.s + 1)
		return refuse(why, v, "is empty; leave the line out for the default");
	rest = (struct piece){end + 1, v.len - (size_t)(end + 1 - v.s)};
	if (rest.len > 0 && !is_blank(rest.s[0]))
		return refuse(why, v, "goes on behind its quote");
	rest = trim(rest);
	if (rest.len > 0 && !is_comment(rest.s[0]))
		return refuse(why, v, "goes on behind its quote");
	return 0;
}

static int
check_value(struct piece v, const char *key, struct errmsg *why)
{
	if (v.len == 0 || is_comment(v.s[0]))
		return errmsg_set(why, -EINVAL,
				  "%s has no value; leave the line out for the default",
				  key);
	if (v.s[0] == '"' || v.s[0] == '\'')
		return check_quoted(v, why);
	for (size_t i = 1; i < v.len && !(is_comment(v.s[i]) && is_blank(v.s[i - 1]));
	     i++) {
		if (is_comment(v.s[i]))
			return refuse(why, v,
				      "holds ; or #: put it in quotes, or a blank "
				      "before the comment");
	}
	return 0;
}

static int
take_key(struct piece p, struct config_line *line, struct errmsg *why)
{
	const char *equals = memchr(p.s, '=', p.len);
	struct piece key, value;

	if (equals == NULL)
		return refuse(why, p, "is neither [section] nor key = value");
	key = trim((struct piece){p.s, (size_t)(equals - p.s)});
	value = trim((struct piece){equals + 1, p.len - (size_t)(equals + 1 - p.s)});
	line->what = LINE_KEY;
	line->name[0] = '\0';
	if (take_word(key, is_word_char, line->word, sizeof(line->word)) < 0)
		return refuse(why, key, "is not the name of a key");
	return check_value(value, line->word, why);
}

static int
check_bytes(struct piece p, struct errmsg *why)
{
	for (size_t i = 0; i < p.len; i++) {
		unsigned char c = (unsigned char)p.s[i];

		if (c == 0)
			return errmsg_set(why, -EINVAL, "holds a NUL byte");
		if ((c < 0x20 && c != '\t') || c == 0x7f)
			return errmsg_set(why, -EINVAL,
					  "holds control character \\x%02x", c);
	}
	if (p.len > 0 && p.s[p.len - 1] == '\\')
		return errmsg_set(why, -EINVAL,
				  "ends with \\, but no line goes on in the next one");
	return 0;
}

/* The next line without its end; `s` stands behind it. */
static struct piece
next_line(struct config_scan *s)
{
	struct piece p = {s->text + s->at, s->len - s->at};
	const char *end = memchr(p.s, '\n', p.len);

	if (end != NULL)
		p.len = (size_t)(end - p.s);
	s->at += p.len + (end != NULL);
	s->line++;
	if (p.len > 0 && p.s[p.len - 1] == '\r')
		p.len--;
	return p;
}

int
config_scan_next(struct config_scan *s, struct config_line *ret_line,
		 struct errmsg *why)
{
	struct config_line line = {.what = LINE_END};
	int err = 0;

	while (line.what == LINE_END && err == 0 && s->at < s->len) {
		struct piece p = next_line(s);

		if (p.len > CONFIG_LINE_MAX)
			return errmsg_set(why, -EINVAL, "is longer than %d bytes",
					  CONFIG_LINE_MAX);
		p = trim(p);
		err = check_bytes(p, why);
		if (err < 0 || p.len == 0 || is_comment(p.s[0]))
			continue;
		if (p.s[0] == '[')
			err = take_section(p, &line, why);
		else
			err = take_key(p, &line, why);
	}
	if (err == 0)
		*ret_line = line;
	return err;
}
