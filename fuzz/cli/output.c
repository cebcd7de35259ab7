/* SPDX-License-Identifier: GPL-2.0-only */
/* Results that leave the process. What could not be written is an error that nobody may miss. */
#define _GNU_SOURCE
#include "cli.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

/* The reader of a pipe that has what it wanted (`| head`): nobody is there to be told. */
static bool reader_gone(void)
{
	struct pollfd out = {.fd = STDOUT_FILENO, .events = POLLOUT};

	return poll(&out, 1, 0) == 1 && out.revents & (POLLERR | POLLHUP);
}

int output_flush(void)
{
	static bool said;
	int err;

	if (!fflush(stdout) && !ferror(stdout))
		return 0;
	err = errno ? errno : EIO;
	if (!said && !reader_gone())
		say("cannot write standard output: %s", strerror(err));
	said = true;
	return EXIT_ENV;
}

static bool write_all(int fd, const char *data, size_t len)
{
	while (len) {
		ssize_t n = write(fd, data, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return false;
		data += n;
		len -= (size_t)n;
	}
	return true;
}

static int cannot(const char *path)
{
	say("cannot write %s: %s", path, strerror(errno));
	return EXIT_ENV;
}

/* A device, a pipe: there is nothing to replace. */
static int write_special(const char *path, const void *data, size_t len)
{
	int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0)
		return cannot(path);
	if (!write_all(fd, data, len)) {
		cannot(path);
		close(fd);
		return EXIT_ENV;
	}
	return close(fd) ? cannot(path) : 0;
}

static int replace_file(const char *path, const void *data, size_t len, mode_t mode)
{
	char *tmp;
	int fd;

	if (asprintf(&tmp, "%s.XXXXXX", path) < 0) {
		say("out of memory");
		return EXIT_ENV;
	}
	fd = mkostemp(tmp, O_CLOEXEC);
	if (fd < 0) {
		cannot(path);
		free(tmp);
		return EXIT_ENV;
	}
	if (!write_all(fd, data, len) || fchmod(fd, mode) || fsync(fd)) {
		cannot(path);
		close(fd);
		goto fail;
	}
	if (close(fd) || rename(tmp, path)) {
		cannot(path);
		goto fail;
	}
	free(tmp);
	return 0;

fail:
	unlink(tmp);
	free(tmp);
	return EXIT_ENV;
}

int output_write(const char *path, const void *data, size_t len)
{
	struct stat st;
	mode_t mask;

	if (!path || !strcmp(path, "-")) {
		fwrite(data, 1, len, stdout);
		return output_flush();
	}
	if (!stat(path, &st)) {
		if (!S_ISREG(st.st_mode))
			return write_special(path, data, len);
		return replace_file(path, data, len, st.st_mode & 07777);
	}
	mask = umask(0);
	umask(mask);
	return replace_file(path, data, len, 0666 & ~mask);
}
