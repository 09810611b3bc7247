// SPDX-License-Identifier: GPL-2.0-only
/*
 * Migration v2. VFIO's own table says by which arcs a state is reached; every arc passes through step(), where the
 * faults are.
 */
#include <linux/debugfs.h>
#include <linux/export.h>
#include <linux/file.h>
#include <linux/slab.h>

#include "lab_core.h"

#define RESET_WANTED	0

/* In the P2P states too the engine rests: it has no way to tell a peer's memory from the host's. qat and xe do so. */
static bool engine_may_run(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_RUNNING || state == VFIO_DEVICE_STATE_PRE_COPY;
}

static bool is_precopy(enum vfio_device_mig_state state)
{
	return state == VFIO_DEVICE_STATE_PRE_COPY || state == VFIO_DEVICE_STATE_PRE_COPY_P2P;
}

/* The states that share one saving session, hence one file. */
static bool is_saving(enum vfio_device_mig_state state)
{
	return is_precopy(state) || state == VFIO_DEVICE_STATE_STOP_COPY;
}

static void set_state(struct lab_device *lab, enum vfio_device_mig_state state)
{
	struct lab_migration *migration = lab->migration;

	lab_transitions_add(migration->transitions, migration->state, state);
	WRITE_ONCE(migration->state, state);
}

static void end_session(struct lab_migration *migration)
{
	if (migration->stream)
		lab_stream_disable(migration->stream);
	migration->stream = NULL;
}

static struct file *begin_session(struct lab_device *lab, bool saving)
{
	struct lab_stream *stream;
	struct file *file;

	stream = lab_stream_open(lab, saving, &file);
	if (IS_ERR(stream))
		return ERR_CAST(stream);
	lab->migration->stream = stream;
	return file;
}

static int load(struct lab_device *lab)
{
	struct lab_migration *migration = lab->migration;
	struct lab_program program;
	bool validate = READ_ONCE(migration->faults.validate);
	int ret;

	ret = lab_stream_load(migration->stream, validate, &program);
	if (ret)
		return ret;
	/* Who does not validate still must not run what it cannot do: such a program is off. */
	if (!lab_program_valid(lab, &program)) {
		if (validate)
			return -EINVAL;
		program = (struct lab_program) {};
	}
	if (mutex_lock_killable(&lab->engine_lock))
		return -EINTR;
	lab->program = program;
	mutex_unlock(&lab->engine_lock);
	return 0;
}

/* One arc, of those that struct vfio_migration_ops asks for. A file if it begins a session. */
static struct file *step(struct lab_device *lab, enum vfio_device_mig_state new)
{
	struct lab_migration *migration = lab->migration;
	enum vfio_device_mig_state old = migration->state;
	struct file *file = NULL;
	int ret;

	switch (lab_faults_arc(&migration->faults, &ret)) {
	case LAB_ARC_FAILS:
		return ERR_PTR(ret);
	case LAB_ARC_ENDS_IN_ERROR:
		ret = lab_engine_allow(lab, false, true);
		if (ret)
			return ERR_PTR(ret);
		end_session(migration);
		set_state(lab, VFIO_DEVICE_STATE_ERROR);
		return ERR_PTR(-EIO);
	default:
		break;
	}

	if (!engine_may_run(new)) {
		ret = lab_engine_allow(lab, false, true);
		if (ret)
			return ERR_PTR(ret);
	}

	if (old == VFIO_DEVICE_STATE_RESUMING) {
		ret = load(lab);
		if (ret)
			return ERR_PTR(ret);
		end_session(migration);
	} else if (is_saving(old) && !is_saving(new)) {
		end_session(migration);
	} else if (!is_saving(old) && is_saving(new)) {
		file = begin_session(lab, true);
	} else if (new == VFIO_DEVICE_STATE_RESUMING) {
		file = begin_session(lab, false);
	}
	if (IS_ERR(file))
		return file;

	if (is_saving(new)) {
		lab_stream_set_precopy(migration->stream, is_precopy(new));
		/* The engine is at rest. Registers that are written meanwhile go into the stream old or new. */
		if (new == VFIO_DEVICE_STATE_STOP_COPY)
			lab_stream_finish(migration->stream, &lab->program);
	}
	set_state(lab, new);
	if (engine_may_run(new))
		lab_engine_allow(lab, true, false);
	return file;
}

/*
 * VFIO_DEVICE_RESET may come while another thread is in the middle of a transition, and must not wait for it: the
 * other may be waiting for something that only the reset's caller holds. So a reset is a wish, and whoever has the
 * state mutex fulfils it before it is done; between giving the mutex up and looking for the wish it is taken back,
 * unless by then somebody else has it, who looks too.
 */
static void state_unlock(struct lab_device *lab)
{
	struct lab_migration *migration = lab->migration;

	do {
		if (test_and_clear_bit(RESET_WANTED, &migration->reset_wanted)) {
			lab_device_clear(lab);
			end_session(migration);
			lab_transitions_add(migration->transitions, migration->state, LAB_TO_RESET);
			WRITE_ONCE(migration->state, VFIO_DEVICE_STATE_RUNNING);
			lab_engine_allow(lab, true, false);
		}
		mutex_unlock(&migration->state_mutex);
		/* Pairs with the one in lab_migration_reset(): one of the two sees what the other did. */
		smp_mb();
	} while (test_bit(RESET_WANTED, &migration->reset_wanted) && mutex_trylock(&migration->state_mutex));
}

void lab_migration_reset(struct lab_device *lab)
{
	struct lab_migration *migration = lab->migration;

	set_bit(RESET_WANTED, &migration->reset_wanted);
	/* Pairs with the one in state_unlock(). */
	smp_mb();
	if (mutex_trylock(&migration->state_mutex))
		state_unlock(lab);
}

struct file *lab_set_state(struct lab_device *lab, enum vfio_device_mig_state new)
{
	struct lab_migration *migration = lab->migration;
	struct file *file = NULL;

	if (mutex_lock_killable(&migration->state_mutex))
		return ERR_PTR(-EINTR);
	/*
	 * Two requests must not reach vfio_mig_get_next_state(): out of ERROR it WARNs, and from STOP_COPY back to a
	 * pre-copy state it never returns (6.12, when P2P or PRE_COPY is offered).
	 */
	if (migration->state == VFIO_DEVICE_STATE_ERROR)
		file = ERR_PTR(-EIO);
	else if (migration->state == VFIO_DEVICE_STATE_STOP_COPY && is_precopy(new))
		file = ERR_PTR(-EINVAL);
	while (!file && migration->state != new) {
		enum vfio_device_mig_state next;
		int ret = vfio_mig_get_next_state(lab->vdev, migration->state, new, &next);

		file = ret ? ERR_PTR(ret) : step(lab, next);
	}
	/* VFIO's table begins sessions in the last arc only; were that ever otherwise, the file has nowhere to go. */
	if (!IS_ERR_OR_NULL(file) && migration->state != new) {
		fput(file);
		file = ERR_PTR(-EINVAL);
	}
	state_unlock(lab);
	return file;
}
EXPORT_SYMBOL_GPL(lab_set_state);

int lab_get_state(struct lab_device *lab, enum vfio_device_mig_state *state)
{
	if (mutex_lock_killable(&lab->migration->state_mutex))
		return -EINTR;
	*state = lab->migration->state;
	state_unlock(lab);
	return 0;
}
EXPORT_SYMBOL_GPL(lab_get_state);

int lab_get_data_size(struct lab_device *lab, unsigned long *bytes)
{
	*bytes = lab_stream_bytes(READ_ONCE(lab->program.state));
	return 0;
}
EXPORT_SYMBOL_GPL(lab_get_data_size);

u64 lab_migration_flags(struct lab_device *lab)
{
	return READ_ONCE(lab->migration->flags);
}
EXPORT_SYMBOL_GPL(lab_migration_flags);

bool lab_migration_stopped(struct lab_device *lab)
{
	switch (READ_ONCE(lab->migration->state)) {
	case VFIO_DEVICE_STATE_STOP:
	case VFIO_DEVICE_STATE_STOP_COPY:
	case VFIO_DEVICE_STATE_RESUMING:
		return true;
	default:
		return false;
	}
}

/* The last file of the device is closed, so there is nobody to ask for a state or a reset. */
bool lab_migration_close(struct lab_device *lab)
{
	struct lab_migration *migration = lab->migration;
	bool running = migration->state == VFIO_DEVICE_STATE_RUNNING;

	end_session(migration);
	if (!running) {
		lab_transitions_add(migration->transitions, migration->state, LAB_TO_RESET);
		WRITE_ONCE(migration->state, VFIO_DEVICE_STATE_RUNNING);
	}
	lab_engine_allow(lab, true, false);
	return running;
}

static int flags_get(void *data, u64 *value)
{
	struct lab_migration *migration = data;

	*value = READ_ONCE(migration->flags);
	return 0;
}

static int flags_set(void *data, u64 value)
{
	struct lab_migration *migration = data;
	const u64 all = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;

	if (value & ~all || !(value & VFIO_MIGRATION_STOP_COPY))
		return -EINVAL;
	WRITE_ONCE(migration->flags, value);
	return 0;
}
DEFINE_DEBUGFS_ATTRIBUTE(flags_fops, flags_get, flags_set, "%llu\n");

void lab_migration_debugfs(struct lab_device *lab)
{
	struct lab_migration *migration = lab->migration;

	debugfs_create_file_unsafe("flags", 0644, lab->debugfs, migration, &flags_fops);
	lab_transitions_debugfs(migration->transitions, lab->debugfs);
	lab_faults_debugfs(&migration->faults, lab->debugfs);
}

int lab_migration_init(struct lab_device *lab)
{
	struct lab_migration *migration = kzalloc(sizeof(*migration), GFP_KERNEL_ACCOUNT);

	if (!migration)
		return -ENOMEM;
	migration->transitions = lab_transitions_alloc();
	if (!migration->transitions) {
		kfree(migration);
		return -ENOMEM;
	}
	kref_init(&migration->ref);
	mutex_init(&migration->state_mutex);
	migration->state = VFIO_DEVICE_STATE_RUNNING;
	migration->flags = VFIO_MIGRATION_STOP_COPY | VFIO_MIGRATION_P2P | VFIO_MIGRATION_PRE_COPY;
	lab_faults_init(&migration->faults);
	lab->migration = migration;
	return 0;
}

static void migration_free(struct kref *ref)
{
	struct lab_migration *migration = container_of(ref, struct lab_migration, ref);

	mutex_destroy(&migration->state_mutex);
	lab_transitions_free(migration->transitions);
	kfree(migration);
}

void lab_migration_put(struct lab_migration *migration)
{
	kref_put(&migration->ref, migration_free);
}

void lab_migration_destroy(struct lab_device *lab)
{
	lab_migration_put(lab->migration);
}
