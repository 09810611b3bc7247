/*
 * Cables between network namespaces that can be made bad: loss, delay, a low rate, one way or both. A kernel without
 * netem has nothing for it. Each cable is a pair of tun devices, and this program carries packets between them.
 *
 *   wire CONTROL NAME:NETNS:DEVICE:NETNS:DEVICE ...
 *
 * CONTROL is a FIFO that it makes. A line in it: NAME DIRECTION LOSS DELAY RATE MS. DIRECTION is `to` (from the first end
 * to the second), `from` or `both`; LOSS is per cent, DELAY in milliseconds, RATE in bytes a second (0: no limit); after
 * MS milliseconds the cable is good again (0: when told).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/if.h>
#include <linux/if_tun.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { CABLES = 4, QUEUE = 512, LONGEST = 2048 };

struct packet {
	uint64_t due;
	ssize_t length;
	char data[LONGEST];
};
struct way {
	int from, to;
	unsigned loss;
	uint64_t delay, rate, free_at, until;
	unsigned first, count;
	struct packet queue[QUEUE];
};
struct cable {
	char name[32];
	struct way ways[2];
};

static struct cable cables[CABLES];
static unsigned used;

static void die(const char *what)
{
	fprintf(stderr, "wire: %s: %s\n", what, strerror(errno));
	exit(1);
}

static uint64_t now(void)
{
	struct timespec time;
	clock_gettime(CLOCK_MONOTONIC, &time);
	return (uint64_t)time.tv_sec * 1000000000 + (uint64_t)time.tv_nsec;
}

static unsigned chance(void)
{
	static uint32_t state = 2463534242u;
	state ^= state << 13;
	state ^= state >> 17;
	state ^= state << 5;
	return state % 100;
}

static int tun(const char *netns, const char *device)
{
	char path[256];
	struct ifreq request = { .ifr_flags = IFF_TUN | IFF_NO_PI };
	snprintf(path, sizeof path, "/run/netns/%s", netns);
	int space = open(path, O_RDONLY | O_CLOEXEC);
	if (space < 0 || setns(space, CLONE_NEWNET) < 0)
		die(path);
	close(space);
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	snprintf(request.ifr_name, IFNAMSIZ, "%s", device);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) < 0)
		die(device);
	return fd;
}

static void set(struct way *way, unsigned loss, unsigned delay, unsigned rate, unsigned ms)
{
	way->loss = loss;
	way->delay = (uint64_t)delay * 1000000;
	way->rate = rate;
	way->free_at = 0;
	way->until = ms == 0 ? 0 : now() + (uint64_t)ms * 1000000;
}

static void obey(char *text)
{
	for (char *line = strtok(text, "\n"); line != NULL; line = strtok(NULL, "\n")) {
		char name[32], direction[8];
		unsigned loss, delay, rate, ms;
		if (sscanf(line, "%31s %7s %u %u %u %u", name, direction, &loss, &delay, &rate, &ms) != 6) {
			fprintf(stderr, "wire: %s\n", line);
			exit(1);
		}
		for (unsigned at = 0; at < used; at++) {
			if (strcmp(cables[at].name, name) != 0)
				continue;
			if (strcmp(direction, "from") != 0)
				set(&cables[at].ways[0], loss, delay, rate, ms);
			if (strcmp(direction, "to") != 0)
				set(&cables[at].ways[1], loss, delay, rate, ms);
		}
	}
}

/* Takes what there is; a packet that is lost, or finds the queue full, is gone. */
static void take(struct way *way)
{
	char data[LONGEST];
	ssize_t length;
	while ((length = read(way->from, data, sizeof data)) > 0) {
		uint64_t time = now();
		if (way->until != 0 && time >= way->until)
			set(way, 0, 0, 0, 0);
		if (chance() < way->loss || way->count == QUEUE)
			continue;
		if (way->rate != 0) {
			/* Ten packets wait; more are lost, as in a real queue. */
			if (way->count >= 10)
				continue;
			way->free_at = (way->free_at > time ? way->free_at : time) + (uint64_t)length * 1000000000 / way->rate;
			time = way->free_at;
		}
		struct packet *packet = &way->queue[(way->first + way->count++) % QUEUE];
		packet->due = time + way->delay;
		packet->length = length;
		memcpy(packet->data, data, (size_t)length);
	}
}

/* Gives what is due; when the next one is, in nanoseconds. */
static uint64_t give(struct way *way)
{
	while (way->count > 0) {
		struct packet *packet = &way->queue[way->first];
		uint64_t time = now();
		if (packet->due > time)
			return packet->due - time;
		/* A device that is down takes none: it is lost. */
		if (write(way->to, packet->data, (size_t)packet->length) < 0 && errno == EAGAIN)
			return 1000000;
		way->first = (way->first + 1) % QUEUE;
		way->count--;
	}
	return 1000000000;
}

int main(int argc, char **argv)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	if (argc < 3 || argc - 2 > CABLES)
		return 2;
	if (mkfifo(argv[1], 0600) < 0)
		die(argv[1]);
	int control = open(argv[1], O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (control < 0)
		die(argv[1]);
	struct pollfd polled[1 + 2 * CABLES] = { { .fd = control, .events = POLLIN } };
	for (int at = 2; at < argc; at++) {
		struct cable *cable = &cables[used++];
		char *name = strtok(argv[at], ":"), *one = strtok(NULL, ":"), *first = strtok(NULL, ":");
		char *two = strtok(NULL, ":"), *second = strtok(NULL, ":");
		if (second == NULL)
			return 2;
		snprintf(cable->name, sizeof cable->name, "%s", name);
		int ends[2] = { tun(one, first), tun(two, second) };
		for (int way = 0; way < 2; way++) {
			cable->ways[way].from = ends[way];
			cable->ways[way].to = ends[1 - way];
			polled[1 + 2 * (used - 1) + (unsigned)way] = (struct pollfd){ .fd = ends[way], .events = POLLIN };
		}
	}
	puts("ready");
	fflush(stdout);
	for (;;) {
		uint64_t wait = 1000000000;
		for (unsigned at = 0; at < used; at++)
			for (int way = 0; way < 2; way++) {
				take(&cables[at].ways[way]);
				uint64_t next = give(&cables[at].ways[way]);
				wait = next < wait ? next : wait;
			}
		struct timespec time = { (time_t)(wait / 1000000000), (long)(wait % 1000000000) };
		if (ppoll(polled, 1 + 2 * used, &time, NULL) < 0 && errno != EINTR)
			die("poll");
		char text[4096];
		ssize_t length = read(control, text, sizeof text - 1);
		if (length > 0) {
			text[length] = 0;
			obey(text);
		}
	}
}
