#include "daemon/report_usage.h"

#include <dirent.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

static uint64_t
resident_bytes(void)
{
	FILE *f = fopen("/proc/self/statm", "re");
	unsigned long pages = 0;

	if (f == NULL)
		return 0;
	if (fscanf(f, "%*u %lu", &pages) != 1)
		pages = 0;
	fclose(f);
	return (uint64_t)pages * (uint64_t)sysconf(_SC_PAGESIZE);
}

static uint64_t
count_entries(const char *directory)
{
	DIR *d = opendir(directory);
	uint64_t n = 0;

	if (d == NULL)
		return 0;
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n >= 3 ? n - 3 : 0; /* ".", ".." and the directory itself */
}

/* Linux 6.2 and later tell the number as the directory's size. */
static uint64_t
open_descriptors(void)
{
	struct stat st;

	if (stat("/proc/self/fd", &st) == 0 && st.st_size > 0)
		return (uint64_t)st.st_size;
	return count_entries("/proc/self/fd");
}

void
report_usage_get(struct report_usage *ret_usage)
{
	struct rlimit limit = {0};

	(void)getrlimit(RLIMIT_NOFILE, &limit);
	ret_usage->rss_bytes = resident_bytes();
	ret_usage->descriptors = open_descriptors();
	ret_usage->descriptors_max = (uint64_t)limit.rlim_cur;
}
