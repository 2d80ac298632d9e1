// Devices and a control group of the test load's own: see devices.h.
#define _GNU_SOURCE
#include "devices.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/loop.h>
#include <linux/major.h>
#include <linux/raid/md_u.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/swap.h>
#include <sys/wait.h>
#include <unistd.h>

enum { kBlock = 4096, kLoopBytes = 1 << 20, kTries = 100 };
static const char kGroup[] = "/sys/fs/cgroup/ktap-load";

static void die(const char* what) {
  fprintf(stderr, "load: %s: %s\n", what, strerror(errno));
  _exit(125);
}

/// Nobody's machine shall get a RAID or lack memory by a test.
static void only_in_a_guest(void) {
  char first[64] = "";
  if (readlink("/proc/1/exe", first, sizeof first - 1) < 0 || strcmp(first, "/init") != 0) {
    errno = EPERM;
    die("in a guest of the tests alone");
  }
}

static int open_device(const char* path, int flags) {
  const int device = open(path, flags | O_CLOEXEC);
  if (device < 0) die(path);
  return device;
}

static void control(int device, unsigned long request, const void* argument, const char* what) {
  if (ioctl(device, request, argument) < 0) die(what);
}

static void write_text(const char* path, const char* text) {
  const int file = open_device(path, O_WRONLY);
  if (write(file, text, strlen(text)) < 0) die(path);
  close(file);
}

void loop_reads(long reads) {
  only_in_a_guest();
  const int chooser = open_device("/dev/loop-control", O_RDWR);
  const int number = ioctl(chooser, LOOP_CTL_GET_FREE);
  if (number < 0) die("LOOP_CTL_GET_FREE");
  const int file = open_device("ktap-loop", O_RDWR | O_CREAT | O_EXCL);
  if (ftruncate(file, kLoopBytes) != 0) die("ftruncate");
  char path[64];
  snprintf(path, sizeof path, "/sys/block/loop%d/queue/scheduler", number);
  write_text(path, "none");  // else a thread of the kernel hands requests on
  snprintf(path, sizeof path, "/dev/loop%d", number);
  const int device = open_device(path, O_RDWR | O_DIRECT);
  control(device, LOOP_SET_FD, (void*)(intptr_t)file, "LOOP_SET_FD");
  char* block = aligned_alloc(kBlock, kBlock);
  if (block == NULL) die("aligned_alloc");
  for (long i = 0; i < reads; ++i) {
    if (pread(device, block, kBlock, i * kBlock % kLoopBytes) != kBlock) die(path);
  }
  control(device, LOOP_CLR_FD, NULL, "LOOP_CLR_FD");
  close(device);
  close(chooser);
  close(file);
  unlink("ktap-loop");
}

static void add_disk(int array, int number) {
  struct stat found;
  char path[32];
  snprintf(path, sizeof path, "/dev/ram%d", number);
  if (stat(path, &found) != 0) die(path);
  mdu_disk_info_t disk = {.number = number, .raid_disk = number};
  disk.major = RAMDISK_MAJOR;
  disk.minor = (int)(found.st_rdev & 0xff);
  disk.state = 1 << 1 | 1 << 2;  // MD_DISK_ACTIVE, MD_DISK_SYNC
  control(array, ADD_NEW_DISK, &disk, "ADD_NEW_DISK");
}

void raid_flushes(long flushes) {
  only_in_a_guest();
  if (access("/dev/md0", F_OK) != 0) write_text("/sys/module/md_mod/parameters/new_array", "md0");
  const int array = open_device("/dev/md0", O_RDWR);
  // Without a superblock: nothing is written to the disks but what is asked for.
  mdu_array_info_t info = {.minor_version = 90, .nr_disks = 2, .raid_disks = 2};
  info.not_persistent = 1;
  info.chunk_size = 65536;
  control(array, SET_ARRAY_INFO, &info, "SET_ARRAY_INFO");
  add_disk(array, 0);
  add_disk(array, 1);
  control(array, RUN_ARRAY, NULL, "RUN_ARRAY");
  for (long i = 0; i < flushes; ++i) {
    if (fsync(array) != 0) die("fsync of /dev/md0");
  }
  control(array, STOP_ARRAY, NULL, "STOP_ARRAY");
  close(array);
}

static void make_swap(const char* path, size_t page) {
  const int device = open_device(path, O_RDWR);
  const off_t size = lseek(device, 0, SEEK_END);
  char* first = calloc(1, page);
  if (first == NULL || size < 0) die(path);
  const uint32_t header[2] = {1, (uint32_t)((size_t)size / page - 1)};  // version, last page
  memcpy(first + 1024, header, sizeof header);
  memcpy(first + page - 10, "SWAPSPACE2", 10);
  if (pwrite(device, first, page, 0) != (ssize_t)page || fsync(device) != 0) die(path);
  free(first);
  close(device);
}

static size_t in_memory(void* memory, size_t page, size_t pages) {
  unsigned char* const is_there = malloc(pages);
  if (is_there == NULL || mincore(memory, pages * page, is_there) != 0) die("mincore");
  size_t count = 0;
  for (size_t i = 0; i < pages; ++i) count += is_there[i] & 1;
  free(is_there);
  return count;
}

void swap_reads(long pages) {
  only_in_a_guest();
  const char* const disk = "/dev/ram2";
  const size_t page = (size_t)sysconf(_SC_PAGESIZE);
  const size_t bytes = (size_t)pages * page;
  write_text("/proc/sys/vm/page-cluster", "0");  // no page is read before it is wanted
  make_swap(disk, page);
  if (swapon(disk, 0) != 0) die("swapon");
  char* memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  madvise(memory, bytes, MADV_NOHUGEPAGE);
  for (size_t i = 0; i < bytes; ++i) memory[i] = (char)(i / page + i % 251);
  for (int tries = 0; in_memory(memory, page, (size_t)pages) > 0; ++tries) {
    if (tries == kTries || madvise(memory, bytes, MADV_PAGEOUT) != 0) die("MADV_PAGEOUT");
    usleep(10000);
  }
  for (size_t i = 0; i < bytes; i += page) {
    if (memory[i] != (char)(i / page + i % 251)) die("a page from swap is another");
  }
  munmap(memory, bytes);
  if (swapoff(disk) != 0) die("swapoff");
}

static void eat(void) {
  enum { kBytes = 64 << 20 };
  prctl(PR_SET_NAME, "hungry", 0, 0, 0);
  char number[16];
  snprintf(number, sizeof number, "%d", getpid());
  char path[sizeof kGroup + 16];
  snprintf(path, sizeof path, "%s/cgroup.procs", kGroup);
  write_text(path, number);
  char* memory = mmap(NULL, kBytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (memory == MAP_FAILED) die("mmap");
  for (size_t i = 0; i < kBytes; i += kBlock) memory[i] = 1;
  _exit(0);
}

void want_memory(long children) {
  only_in_a_guest();
  char path[sizeof kGroup + 16];
  write_text("/sys/fs/cgroup/cgroup.subtree_control", "+memory");
  if (mkdir(kGroup, 0700) != 0) die(kGroup);
  snprintf(path, sizeof path, "%s/memory.max", kGroup);
  write_text(path, "8388608");
  for (long i = 0; i < children; ++i) {
    const pid_t child = fork();
    if (child == 0) eat();
    int status = 0;
    if (child < 0 || waitpid(child, &status, 0) != child) die("fork");
    if (!WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL) die("a child was not killed");
  }
  // What the dead leave behind is gone a moment later.
  for (int tries = 0; rmdir(kGroup) != 0; ++tries) {
    if (tries == kTries) die("rmdir");
    usleep(10000);
  }
}
