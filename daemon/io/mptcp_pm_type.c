/*
 * The namespace's path manager type; declared in mptcp_pm.h. Linux 6.15 has
 * net.mptcp.path_manager, a word; before there was only pm_type, a number. The
 * saved file is one line, "path_manager=kernel" or "pm_type=0".
 */
#include "daemon/io/mptcp_pm.h"

#include <fcntl.h>
#include <libgen.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SYSCTL_DIRECTORY "/proc/sys/net/mptcp/"

enum { VALUE_MAX = 32 };

static const struct knob {
	const char *name;
	const char *in_kernel, *userspace;
} knobs[] = {
	{"path_manager", "kernel", "userspace"},
	{"pm_type", "0", "1"},
};

static int
read_line(const char *file, char *ret_line, size_t cap)
{
	int fd = open(file, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;

	if (fd < 0)
		return -errno;
	n = read(fd, ret_line, cap - 1);
	if (n < 0)
		n = -errno;
	close(fd);
	if (n < 0)
		return (int)n;
	ret_line[n] = '\0';
	ret_line[strcspn(ret_line, "\n")] = '\0';
	return 0;
}

static int
write_text(int fd, const char *text)
{
	ssize_t n = write(fd, text, strlen(text));

	if (n < 0)
		return -errno;
	return (size_t)n == strlen(text) ? 0 : -EIO;
}

static const char *
knob_path(const struct knob *k, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, SYSCTL_DIRECTORY "%s", k->name);
	return path;
}

static int
set_knob(const struct knob *k, const char *value)
{
	char path[PATH_MAX];
	int fd = open(knob_path(k, path), O_WRONLY | O_CLOEXEC);
	int err;

	if (fd < 0)
		return -errno;
	err = write_text(fd, value);
	close(fd);
	return err;
}

/* The first knob that this kernel has, and its value. */
static int
find_knob(const struct knob **ret_knob, char value[VALUE_MAX])
{
	char path[PATH_MAX];
	int err = -ENOENT;

	for (size_t i = 0; i < ARRAY_LEN(knobs) && err == -ENOENT; i++) {
		err = read_line(knob_path(&knobs[i], path), value, VALUE_MAX);
		if (err == 0)
			*ret_knob = &knobs[i];
	}
	return err;
}

int
mptcp_pm_type(void)
{
	const struct knob *k;
	char value[VALUE_MAX];
	int err = find_knob(&k, value);

	if (err < 0)
		return err;
	if (strcmp(value, k->in_kernel) == 0)
		return 0;
	return strcmp(value, k->userspace) == 0 ? 1 : -ENOTSUP;
}

static int
sync_directory_of(const char *file)
{
	char copy[PATH_MAX];
	int fd, err = 0;

	snprintf(copy, sizeof(copy), "%s", file);
	fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (fd < 0)
		return -errno;
	if (fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

static int
write_synced(const char *file, const char *text)
{
	int fd =
		open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int err;

	if (fd < 0)
		return -errno;
	err = write_text(fd, text);
	if (err == 0 && fsync(fd) < 0)
		err = -errno;
	close(fd);
	return err;
}

/* Whole on disk under its name, or not there at all. */
static int
save(const char *file, const char *text)
{
	char draft[PATH_MAX];
	int err;

	if (snprintf(draft, sizeof(draft), "%s.new", file) >= (int)sizeof(draft))
		return -ENAMETOOLONG;
	err = write_synced(draft, text);
	if (err == 0 && rename(draft, file) < 0)
		err = -errno;
	if (err < 0) {
		unlink(draft);
		return err;
	}
	return sync_directory_of(file);
}

int
mptcp_pm_take(const char *saved_file, struct errmsg *why)
{
	const struct knob *k;
	char value[VALUE_MAX], text[2 * VALUE_MAX];
	int err = find_knob(&k, value);

	if (err < 0)
		return errmsg_set(why, err, SYSCTL_DIRECTORY ": %s", strerror(-err));
	/* One that is there is from a crash, and knows what was before us. */
	if (access(saved_file, F_OK) < 0) {
		snprintf(text, sizeof(text), "%s=%s\n", k->name, value);
		err = save(saved_file, text);
		if (err == -ENOENT)
			return errmsg_set(why, err,
					  "%s: its directory does not exist: make it, "
					  "or set state_directory",
					  saved_file);
		if (err < 0)
			return errmsg_set(why, err, "%s: %s", saved_file,
					  strerror(-err));
	}
	err = set_knob(k, k->userspace);
	if (err < 0)
		return errmsg_set(why, err, SYSCTL_DIRECTORY "%s: cannot write: %s",
				  k->name, strerror(-err));
	return 0;
}

static int
parse_saved(char *line, const struct knob **ret_knob, const char **ret_value)
{
	char *equals = strchr(line, '=');

	if (equals == NULL || equals[1] == '\0' || strlen(equals + 1) >= VALUE_MAX)
		return -EINVAL;
	*equals = '\0';
	for (size_t i = 0; i < ARRAY_LEN(knobs); i++) {
		if (strcmp(line, knobs[i].name) == 0) {
			*ret_knob = &knobs[i];
			*ret_value = equals + 1;
			return 0;
		}
	}
	return -EINVAL;
}

int
mptcp_pm_give_back(const char *saved_file, struct errmsg *why)
{
	const struct knob *k;
	const char *value;
	char line[2 * VALUE_MAX];
	int err = read_line(saved_file, line, sizeof(line));

	if (err == -ENOENT)
		return 0;
	if (err < 0)
		return errmsg_set(why, err, "%s: %s", saved_file, strerror(-err));
	if (parse_saved(line, &k, &value) < 0)
		return errmsg_set(why, -EINVAL,
				  "%s: not a saved path manager, such as "
				  "\"path_manager=kernel\"",
				  saved_file);
	err = set_knob(k, value);
	if (err < 0)
		return errmsg_set(why, err, SYSCTL_DIRECTORY "%s: cannot write: %s",
				  k->name, strerror(-err));
	if (unlink(saved_file) < 0)
		return errmsg_set(why, -errno, "%s: %s", saved_file, strerror(errno));
	return 0;
}
