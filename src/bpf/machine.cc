// The test machine's memory and maps. Every object is a region of its own address range, so that a
// pointer that leaves its object finds nothing.
#include <algorithm>
#include <cstring>

#include "base/check.h"
#include "bpf/interpreter.h"

namespace ktap::bpf {
namespace {

constexpr int64_t kEnoent = -2, kEinval = -22, kEexist = -17, kE2big = -7;

uint32_t round_up8(uint32_t size) { return (size + 7) & ~uint32_t{7}; }

}  // namespace

Machine::Machine(const std::vector<MapSpec>& maps, uint32_t cpu_count) : cpu_count_(cpu_count) {
  for (const MapSpec& spec : maps) {
    FakeMap map;
    map.spec = spec;
    map.stride_bytes = round_up8(spec.value_size_bytes);
    if (spec.kind == MapKind::Array || spec.kind == MapKind::PercpuArray) {
      uint32_t copies = map.is_percpu() ? cpu_count : 1;
      for (uint32_t cpu = 0; cpu < copies; ++cpu) {
        Bytes bytes(size_t{map.stride_bytes} * spec.max_entries);
        KTAP_CHECK(spec.content.size() <= bytes.size());
        std::copy(spec.content.begin(), spec.content.end(), bytes.begin());
        map.arrays.push_back(add_region(std::move(bytes), !spec.read_only));
      }
    }
    maps_.push_back(std::move(map));
  }
}

uint32_t Machine::add_region(Bytes bytes, bool writable) {
  Region region;
  region.bytes = std::move(bytes);
  region.writable = writable;
  regions_.push_back(std::move(region));
  return static_cast<uint32_t>(regions_.size() - 1);
}

Machine::Region* Machine::find(uint64_t address, uint64_t size) {
  uint64_t number = address >> 32;
  if (number == 0 || number > regions_.size()) return nullptr;
  Region& region = regions_[number - 1];
  uint64_t offset = address & 0xffffffff;
  if (!region.live || offset > region.bytes.size() || size > region.bytes.size() - offset) {
    return nullptr;
  }
  return &region;
}

uint64_t Machine::lookup(uint32_t map_index, const Bytes& key, uint32_t cpu) const {
  const FakeMap& map = maps_[map_index];
  size_t copy = map.is_percpu() ? cpu : 0;
  if (map.is_hash()) {
    auto it = map.hash.find(key);
    return it == map.hash.end() ? 0 : address_of(it->second[copy]);
  }
  if (map.arrays.empty()) return 0;
  uint32_t index = 0;
  std::memcpy(&index, key.data(), std::min(key.size(), sizeof(index)));
  if (index >= map.spec.max_entries) return 0;
  return address_of(map.arrays[copy]) + uint64_t{index} * map.stride_bytes;
}

int64_t Machine::update(uint32_t map_index, const Bytes& key, const Bytes& bytes, uint32_t cpu,
                        uint64_t flags) {
  FakeMap& map = maps_[map_index];
  uint64_t address = lookup(map_index, key, cpu);
  if (address != 0 && flags == 1) return kEexist;
  if (address == 0 && flags == 2) return kEnoent;
  if (address == 0) {
    if (!map.is_hash()) return kEinval;
    if (map.hash.size() >= map.spec.max_entries) return kE2big;
    uint32_t copies = map.is_percpu() ? cpu_count_ : 1;
    std::vector<uint32_t> regions;
    for (uint32_t i = 0; i < copies; ++i) regions.push_back(add_region(Bytes(bytes.size()), true));
    map.hash[key] = regions;
    address = lookup(map_index, key, cpu);
  }
  Region* region = find(address, bytes.size());
  KTAP_CHECK(region != nullptr);
  std::copy(bytes.begin(), bytes.end(),
            region->bytes.begin() + static_cast<int64_t>(address & 0xffffffff));
  return 0;
}

Bytes Machine::value(uint32_t map, const Bytes& key, uint32_t cpu) const {
  uint64_t address = lookup(map, key, cpu);
  if (address == 0) return {};
  const Region& region = regions_[(address >> 32) - 1];
  auto begin = region.bytes.begin() + static_cast<int64_t>(address & 0xffffffff);
  return Bytes(begin, begin + maps_[map].spec.value_size_bytes);
}

bool Machine::set_value(uint32_t map, const Bytes& key, const Bytes& bytes, uint32_t cpu) {
  KTAP_CHECK(bytes.size() == maps_[map].spec.value_size_bytes);
  return update(map, key, bytes, cpu, 0) == 0;
}

void Machine::erase(uint32_t map, const Bytes& key) { maps_[map].hash.erase(key); }

std::vector<Bytes> Machine::keys(uint32_t map) const {
  std::vector<Bytes> out;
  for (const auto& entry : maps_[map].hash) out.push_back(entry.first);
  return out;
}

}  // namespace ktap::bpf
