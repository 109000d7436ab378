// SPDX-License-Identifier: GPL-2.0
/*
 * Mistakes to be caught: the test of the runner loads this into the debug
 * kernel to see each of its checkers speak up and the runner listen.
 */
#include <linux/module.h>
#include <linux/mutex.h>
#include <linux/slab.h>
#include <linux/spinlock.h>

static char *kind = "none";
module_param(kind, charp, 0);
MODULE_PARM_DESC(kind, "leak, use_after_free, lock_order or atomic_sleep");

static void plant_leak(void)
{
	int i;

	/* Some may still be found on the stack. */
	for (i = 0; i < 16; i++)
		kmalloc(1000 + i, GFP_KERNEL);
}

static void plant_use_after_free(void)
{
	u8 *p = kmalloc(64, GFP_KERNEL);

	if (!p)
		return;
	OPTIMIZER_HIDE_VAR(p);
	kfree(p);
	WRITE_ONCE(p[8], 1);
}

static void plant_lock_order(void)
{
	static DEFINE_MUTEX(a);
	static DEFINE_MUTEX(b);

	mutex_lock(&a);
	mutex_lock(&b);
	mutex_unlock(&b);
	mutex_unlock(&a);
	mutex_lock(&b);
	mutex_lock(&a);
	mutex_unlock(&a);
	mutex_unlock(&b);
}

static void plant_atomic_sleep(void)
{
	static DEFINE_MUTEX(mutex);
	static DEFINE_SPINLOCK(lock);

	spin_lock(&lock);
	mutex_lock(&mutex);
	mutex_unlock(&mutex);
	spin_unlock(&lock);
}

static int __init plant_init(void)
{
	if (!strcmp(kind, "leak"))
		plant_leak();
	else if (!strcmp(kind, "use_after_free"))
		plant_use_after_free();
	else if (!strcmp(kind, "lock_order"))
		plant_lock_order();
	else if (!strcmp(kind, "atomic_sleep"))
		plant_atomic_sleep();
	else
		return -EINVAL;
	return 0;
}
module_init(plant_init);

static void __exit plant_exit(void)
{
}
module_exit(plant_exit);

MODULE_DESCRIPTION("Mistakes for the runner to catch");
MODULE_LICENSE("GPL");
