/*
 * Takes duplicates of a holder's descriptors, maps the memory, and reads a device's first register.
 *
 *     cc -O2 -Wall -o take-descriptors take-descriptors.c
 *     take-descriptors SOCKET [REGION [OFFSET]]
 *
 * SOCKET is the profile's `handOut.socket`; run it as the user of `handOut.uid`. The holder sends one line of JSON and,
 * beside it (SCM_RIGHTS), the descriptors it names, in that order:
 *
 *     {"version":1,"workload":"node","descriptors":[{"name":"device-nic","kind":"device","device":"nic"},
 *      {"name":"memory-ram","kind":"memory","iova":"0x0","bytes":"536870912"}]}
 *
 * They are duplicates: what they refer to lives as long as this process or the holder does.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/vfio.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

/* SCM_MAX_FD: as many as one message carries. A longer list comes in several. */
#define AT_ONCE 253
#define MOST 1024

static char said[1 << 20];
static int descriptors[MOST];
static size_t count;

static void die(const char *what)
{
	fprintf(stderr, "take-descriptors: %s: %s\n", what, strerror(errno));
	exit(1);
}

/* Reads until the newline that ends the description, and keeps every descriptor that comes with it. */
static void receive(const char *path)
{
	struct sockaddr_un address = { .sun_family = AF_UNIX };
	size_t length = 0;
	int holder = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	if (strlen(path) >= sizeof(address.sun_path)) {
		errno = ENAMETOOLONG;
		die(path);
	}
	strcpy(address.sun_path, path);
	if (holder < 0 || connect(holder, (struct sockaddr *)&address, sizeof(address)) < 0)
		die(path);
	while (length < sizeof(said) - 1 && !memchr(said, '\n', length)) {
		char control[CMSG_SPACE(AT_ONCE * sizeof(int))];
		struct iovec data = { said + length, sizeof(said) - 1 - length };
		struct msghdr message = {
			.msg_iov = &data, .msg_iovlen = 1,
			.msg_control = control, .msg_controllen = sizeof(control),
		};
		ssize_t got = recvmsg(holder, &message, MSG_CMSG_CLOEXEC);

		if (got < 0)
			die("recvmsg");
		if (got == 0)
			break;
		length += got;
		for (struct cmsghdr *c = CMSG_FIRSTHDR(&message); c; c = CMSG_NXTHDR(&message, c)) {
			size_t many = (c->cmsg_len - CMSG_LEN(0)) / sizeof(int);

			if (c->cmsg_level != SOL_SOCKET || c->cmsg_type != SCM_RIGHTS || count + many > MOST)
				continue;
			memcpy(descriptors + count, CMSG_DATA(c), many * sizeof(int));
			count += many;
		}
	}
	close(holder);
	if (length == 0 || strstr(said, "\"error\"")) {
		fprintf(stderr, "take-descriptors: %s\n", length ? said : "the holder closed the connection: is this its user?");
		exit(1);
	}
}

/* The n-th descriptor's field, as far as this one-line format needs a parser; a real client uses its JSON library. */
static int field(size_t n, const char *name, char *value, size_t room)
{
	const char *at = strstr(said, "\"descriptors\"");
	char key[64];

	for (size_t i = 0; at && i <= n; i++)
		at = strchr(at + 1, '{');
	snprintf(key, sizeof(key), "\"%s\":\"", name);
	const char *end = at ? strchr(at, '}') : NULL;
	const char *found = at ? strstr(at, key) : NULL;

	if (!found || !end || found > end)
		return 0;
	snprintf(value, room, "%.*s", (int)strcspn(found + strlen(key), "\""), found + strlen(key));
	return 1;
}

static void show_memory(int memory, const char *iova)
{
	struct stat facts;
	unsigned char *bytes;

	if (fstat(memory, &facts) < 0)
		die("fstat");
	bytes = mmap(NULL, facts.st_size, PROT_READ, MAP_SHARED, memory, 0);
	if (bytes == MAP_FAILED)
		die("mmap");
	printf("    %lld bytes at IOVA %s, first bytes ", (long long)facts.st_size, iova);
	for (int i = 0; i < 16; i++)
		printf("%02x", bytes[i]);
	printf("\n");
	munmap(bytes, facts.st_size);
}

static void show_register(int device, unsigned index, uint64_t at)
{
	struct vfio_region_info region = { .argsz = sizeof(region), .index = index };
	uint32_t value = 0;

	if (ioctl(device, VFIO_DEVICE_GET_REGION_INFO, &region) < 0)
		die("VFIO_DEVICE_GET_REGION_INFO");
	size_t width = region.size >= at + sizeof(value) ? sizeof(value) : 1;
	/* Some devices, mtty among them, take registers byte by byte only. */
	if (pread(device, &value, width, region.offset + at) < 0 && pread(device, &value, 1, region.offset + at) < 0)
		die("pread");
	printf("    region %u: %llu bytes, register 0x%llx: 0x%08x\n", index, (unsigned long long)region.size,
	       (unsigned long long)at, value);
}

int main(int argc, char **argv)
{
	if (argc < 2 || argc > 4) {
		fprintf(stderr, "usage: take-descriptors SOCKET [REGION [OFFSET]]\n");
		return 2;
	}
	receive(argv[1]);
	printf("%zu descriptors\n", count);
	for (size_t n = 0; n < count; n++) {
		char name[256] = "?", kind[32] = "?", iova[32] = "?";

		field(n, "name", name, sizeof(name));
		field(n, "kind", kind, sizeof(kind));
		field(n, "iova", iova, sizeof(iova));
		printf("  %s (%s)\n", name, kind);
		if (strcmp(kind, "memory") == 0)
			show_memory(descriptors[n], iova);
		else if (strcmp(kind, "device") == 0)
			show_register(descriptors[n], argc > 2 ? strtoul(argv[2], NULL, 0) : 0, argc > 3 ? strtoull(argv[3], NULL, 0) : 0);
	}
	return 0;
}
