// What the test load does to the machine itself: in guests alone, tests/guest.
#pragma once

/// `reads` reads of 4096 bytes past the page cache from a loop device of its own. Not writes: those
/// are handed to the driver on a thread of the kernel, in 5.10 and 6.1.
void loop_reads(long reads);

/// `flushes` calls of fsync on a RAID 0 of two RAM disks, /dev/md0.
void raid_flushes(long flushes);

/// Reads `pages` pages back from swap, which is a RAM disk.
void swap_reads(long pages);

/// `children` children, called `hungry`, that are killed one after the other as their control group
/// has no memory left.
void want_memory(long children);
