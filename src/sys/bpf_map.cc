// Kernel maps: creation, single entries, reading all of a map in batches, mapped arrays.
#include <bpf/bpf.h>
#include <bpf/libbpf.h>
#include <fmt/format.h>
#include <sys/mman.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "sys/bpf.h"
#include "sys/bpf_quiet.h"
#include "sys/errors.h"
#include "sys/undisturbed.h"

namespace ktap::sys {

namespace {

constexpr uint32_t kBatchEntries = 4096;

size_t round_up_8(size_t n) { return (n + 7) & ~size_t{7}; }

bpf_map_type kernel_type(bpf::MapKind kind) {
  switch (kind) {
    case bpf::MapKind::Array:
      return BPF_MAP_TYPE_ARRAY;
    case bpf::MapKind::PercpuArray:
      return BPF_MAP_TYPE_PERCPU_ARRAY;
    case bpf::MapKind::Hash:
      return BPF_MAP_TYPE_HASH;
    case bpf::MapKind::PercpuHash:
      return BPF_MAP_TYPE_PERCPU_HASH;
    case bpf::MapKind::Programs:
      return BPF_MAP_TYPE_PROG_ARRAY;
    case bpf::MapKind::RingBuffer:
      return BPF_MAP_TYPE_RINGBUF;
    case bpf::MapKind::Cgroups:
      return BPF_MAP_TYPE_CGROUP_ARRAY;
  }
  KTAP_UNREACHABLE();
}

bool is_percpu(bpf::MapKind kind) {
  return kind == bpf::MapKind::PercpuArray || kind == bpf::MapKind::PercpuHash;
}

int try_create(const bpf::MapSpec& spec) {
  LIBBPF_OPTS(bpf_map_create_opts, options);
  if (spec.mmapable) options.map_flags |= BPF_F_MMAPABLE;
  if (spec.read_only) options.map_flags |= BPF_F_RDONLY_PROG;
  const bool ring = spec.kind == bpf::MapKind::RingBuffer;
  return bpf_map_create(kernel_type(spec.kind), kernel_name(spec.name).c_str(),
                        ring ? 0 : spec.key_size_bytes, ring ? 0 : spec.value_size_bytes,
                        spec.max_entries, &options);
}

}  // namespace

Result<Map> Map::create(const bpf::MapSpec& spec) {
  silence_libbpf();
  // libbpf raises RLIMIT_MEMLOCK where map memory counts against it (before 5.11).
  const int fd = try_create(spec);
  if (fd < 0) return tracing_error(fmt::format("creating the kernel map '{}'", spec.name), -fd);
  Map map(UniqueFd(fd), spec);
  map.spec_.content.clear();
  if (!spec.content.empty()) {
    KTAP_CHECK(spec.kind == bpf::MapKind::Array && spec.content.size() <= spec.value_size_bytes);
    std::vector<uint8_t> value = spec.content;
    value.resize(spec.value_size_bytes);
    const uint32_t zero = 0;
    KTAP_TRY(map.update(&zero, value.data()));
  }
  // Frozen, its content is a constant for the verifier.
  if (spec.read_only) {
    const int rc = bpf_map_freeze(fd);
    if (rc != 0) return tracing_error(fmt::format("freezing the kernel map '{}'", spec.name), -rc);
  }
  return map;
}

size_t Map::value_stride_bytes() const {
  if (!is_percpu(spec_.kind)) return spec_.value_size_bytes;
  Result<uint32_t> cpus = possible_cpus();
  KTAP_CHECK(cpus.ok());  // read once at the start; it does not go away
  return round_up_8(spec_.value_size_bytes) * cpus.value();
}

bool Map::lookup(const void* key, void* value) const {
  const Undisturbed here(keeps_cpu_);
  return bpf_map_lookup_elem(fd(), key, value) == 0;
}

Result<void> Map::update(const void* key, const void* value, bool only_new) {
  const Undisturbed here(keeps_cpu_);
  const int rc = bpf_map_update_elem(fd(), key, value, only_new ? BPF_NOEXIST : BPF_ANY);
  if (rc != 0) return system_error(fmt::format("writing the kernel map '{}'", spec_.name), -rc);
  return {};
}

bool Map::remove(const void* key) {
  const Undisturbed here(keeps_cpu_);
  return bpf_map_delete_elem(fd(), key) == 0;
}

bool Map::take(const void* key, void* value) {
  const Undisturbed here(keeps_cpu_);
  const int rc = bpf_map_lookup_and_delete_elem(fd(), key, value);
  if (rc == 0) return true;
  if (rc == -ENOENT) return false;
  return lookup(key, value) && remove(key);
}

Result<size_t> Map::read_all(bool take, std::vector<uint8_t>* keys, std::vector<uint8_t>* values) {
  const Undisturbed here(keeps_cpu_);
  const size_t key_bytes = spec_.key_size_bytes;
  const size_t stride = value_stride_bytes();
  // A hash map's position is a u32 bucket number; the kernel wants room for a key.
  std::vector<uint8_t> position(std::max<size_t>(key_bytes, 8));
  size_t total = 0;
  uint32_t batch = std::min(kBatchEntries, spec_.max_entries);
  bool first = true;
  for (;;) {
    keys->resize((total + batch) * key_bytes);
    values->resize((total + batch) * stride);
    uint32_t count = batch;
    void* in = first ? nullptr : position.data();
    void* key_room = keys->data() + total * key_bytes;
    void* value_room = values->data() + total * stride;
    LIBBPF_OPTS(bpf_map_batch_opts, options);
    const int rc = take ? bpf_map_lookup_and_delete_batch(fd(), in, position.data(), key_room,
                                                          value_room, &count, &options)
                        : bpf_map_lookup_batch(fd(), in, position.data(), key_room, value_room,
                                               &count, &options);
    if (rc == -ENOSPC) {  // one bucket holds more than a whole batch
      batch *= 2;
      continue;
    }
    if (rc != 0 && rc != -ENOENT) {
      if (first) return read_slowly(take, keys, values);
      if (take && total > 0)
        break;  // what was taken is in our hands alone; the rest is there next time
      return system_error(fmt::format("reading the kernel map '{}'", spec_.name), -rc);
    }
    total += count;
    first = false;
    if (rc == -ENOENT) break;
  }
  keys->resize(total * key_bytes);
  values->resize(total * stride);
  return total;
}

Result<size_t> Map::read_slowly(bool take, std::vector<uint8_t>* keys,
                                std::vector<uint8_t>* values) {
  const size_t key_bytes = spec_.key_size_bytes;
  const size_t stride = value_stride_bytes();
  keys->clear();
  // All keys first: removing while walking restarts the walk. A key removed by the kernel under our
  // feet restarts it too, so the walk is bounded by the map's size.
  std::vector<uint8_t> key(key_bytes);
  std::vector<uint8_t> next(key_bytes);
  const void* previous = nullptr;
  for (uint32_t i = 0; i < spec_.max_entries; ++i) {
    const int rc = bpf_map_get_next_key(fd(), previous, next.data());
    if (rc == -ENOENT) break;
    if (rc != 0) return system_error(fmt::format("reading the kernel map '{}'", spec_.name), -rc);
    keys->insert(keys->end(), next.begin(), next.end());
    key.swap(next);
    previous = key.data();
  }
  const size_t found = keys->size() / std::max<size_t>(key_bytes, 1);
  values->assign(found * stride, 0);
  size_t kept = 0;
  for (size_t i = 0; i < found; ++i) {
    uint8_t* value = values->data() + kept * stride;
    if (!lookup(keys->data() + i * key_bytes, value)) continue;
    if (take && !remove(keys->data() + i * key_bytes)) continue;
    std::memmove(keys->data() + kept * key_bytes, keys->data() + i * key_bytes, key_bytes);
    ++kept;
  }
  keys->resize(kept * key_bytes);
  values->resize(kept * stride);
  return kept;
}

Result<MappedArray> MappedArray::map(const Map& array) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t bytes = round_up_8(array.spec().value_size_bytes) * array.spec().max_entries;
  return map(array, 0, (bytes + page - 1) / page * page);
}

Result<MappedArray> MappedArray::map(const Map& array, size_t begin_bytes, size_t size_bytes) {
  const size_t page = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  const size_t first = begin_bytes / page * page;
  const size_t end = (begin_bytes + size_bytes + page - 1) / page * page;
  MappedArray mapped;
  void* memory = mmap(nullptr, end - first, PROT_READ | PROT_WRITE, MAP_SHARED, array.fd(),
                      static_cast<off_t>(first));
  if (memory == MAP_FAILED) {
    return system_error(fmt::format("mapping the kernel map '{}'", array.spec().name), errno);
  }
  mapped.pages_ = static_cast<uint8_t*>(memory);
  mapped.pages_bytes_ = end - first;
  mapped.data_ = mapped.pages_ + (begin_bytes - first);
  mapped.size_bytes_ = size_bytes;
  return mapped;
}

MappedArray::MappedArray(MappedArray&& other) noexcept { *this = std::move(other); }

MappedArray& MappedArray::operator=(MappedArray&& other) noexcept {
  std::swap(data_, other.data_);
  std::swap(size_bytes_, other.size_bytes_);
  std::swap(pages_, other.pages_);
  std::swap(pages_bytes_, other.pages_bytes_);
  return *this;
}

MappedArray::~MappedArray() {
  if (pages_ != nullptr) munmap(pages_, pages_bytes_);
}

}  // namespace ktap::sys
