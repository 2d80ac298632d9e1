// Reads a ring buffer in place. Order of memory: a record's header is read with acquire after the
// producer's position, our position is published with release after the record was used.
#include "sys/ring.h"

#include <fcntl.h>
#include <linux/bpf.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <string_view>
#include <utility>

#include "sys/errors.h"

namespace ktap::sys {

namespace {

constexpr size_t kPublishedParts = 64;  // guessed: what is read and not yet given back is 1/64
constexpr size_t kWindowBytes = size_t{512} << 10;  // 15 us to map: 1 ns a record

/// A 32-bit program may run on a 64-bit kernel; "armv8l" is what that calls itself then.
bool is_narrow_kernel() {
  utsname names = {};
  if (sizeof(long) == 8 || uname(&names) != 0) return false;
  const std::string_view machine = names.machine;
  return machine.find("64") == machine.npos && machine.find("armv8") == machine.npos;
}

}  // namespace

Result<RingReader> RingReader::open(const Map& ring) {
  RingReader reader;
  reader.page_bytes_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  reader.ring_bytes_ = ring.spec().max_entries;
  void* consumer =
      mmap(nullptr, reader.page_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd(), 0);
  if (consumer == MAP_FAILED) return system_error("mapping the ring buffer", errno);
  reader.consumer_page_ = static_cast<uint8_t*>(consumer);
  reader.is_narrow_ = is_narrow_kernel();
  void* producer = mmap(nullptr, reader.page_bytes_, PROT_READ, MAP_SHARED, ring.fd(),
                        static_cast<off_t>(reader.page_bytes_));
  if (producer == MAP_FAILED) return system_error("mapping the ring buffer", errno);
  reader.producer_page_ = static_cast<uint8_t*>(producer);

  reader.ring_.reset(fcntl(ring.fd(), F_DUPFD_CLOEXEC, 0));
  if (!reader.ring_.valid()) return system_error("keeping the ring buffer", errno);

  // The ring's own descriptor polls as readable whenever a record is there. Edge-triggered behind
  // an epoll it speaks only when a program woke it.
  reader.epoll_.reset(epoll_create1(EPOLL_CLOEXEC));
  if (!reader.epoll_.valid()) return system_error("creating an epoll descriptor", errno);
  epoll_event event = {};
  event.events = EPOLLIN | EPOLLET;
  if (epoll_ctl(reader.epoll_.get(), EPOLL_CTL_ADD, ring.fd(), &event) != 0) {
    return system_error("watching the ring buffer", errno);
  }
  return reader;
}

RingReader::RingReader(RingReader&& other) noexcept { *this = std::move(other); }

RingReader& RingReader::operator=(RingReader&& other) noexcept {
  std::swap(epoll_, other.epoll_);
  std::swap(ring_, other.ring_);
  std::swap(window_, other.window_);
  std::swap(window_begin_, other.window_begin_);
  std::swap(window_bytes_, other.window_bytes_);
  std::swap(ring_bytes_, other.ring_bytes_);
  std::swap(page_bytes_, other.page_bytes_);
  std::swap(is_narrow_, other.is_narrow_);
  std::swap(position_, other.position_);
  std::swap(consumer_page_, other.consumer_page_);
  std::swap(producer_page_, other.producer_page_);
  return *this;
}

RingReader::~RingReader() {
  if (consumer_page_ != nullptr) munmap(consumer_page_, page_bytes_);
  if (producer_page_ != nullptr) munmap(producer_page_, page_bytes_);
  unmap_window();
}

void RingReader::unmap_window() {
  if (window_ != nullptr) munmap(window_, window_bytes_);
  window_ = nullptr;
  window_bytes_ = 0;
}

const uint8_t* RingReader::at(uint64_t position, size_t bytes) {
  if (window_ != nullptr && position >= window_begin_ &&
      position + bytes <= window_begin_ + window_bytes_) {
    return window_ + (position - window_begin_);
  }
  unmap_window();
  const uint64_t offset = position & (ring_bytes_ - 1) & ~uint64_t{page_bytes_ - 1};
  window_begin_ = position & ~uint64_t{page_bytes_ - 1};
  const size_t needed = static_cast<size_t>(position - window_begin_) + bytes;
  const size_t rounded = (std::max(needed, kWindowBytes) + page_bytes_ - 1) & ~(page_bytes_ - 1);
  const size_t length = std::min<size_t>(rounded, 2 * ring_bytes_ - offset);
  void* mapped = mmap(nullptr, length, PROT_READ, MAP_SHARED, ring_.get(),
                      static_cast<off_t>(2 * page_bytes_ + offset));
  if (mapped == MAP_FAILED) return nullptr;
  window_ = static_cast<uint8_t*>(mapped);
  window_bytes_ = length;
  return window_ + (position - window_begin_);
}

uint64_t RingReader::produced() const {
  if (!is_narrow_)
    return __atomic_load_n(reinterpret_cast<uint64_t*>(producer_page_), __ATOMIC_ACQUIRE);
  return widened_position(
      position_, __atomic_load_n(reinterpret_cast<uint32_t*>(producer_page_), __ATOMIC_ACQUIRE));
}

void RingReader::publish(uint64_t position) {
  position_ = position;
  if (is_narrow_) {
    __atomic_store_n(reinterpret_cast<uint32_t*>(consumer_page_), static_cast<uint32_t>(position),
                     __ATOMIC_RELEASE);
  } else {
    __atomic_store_n(reinterpret_cast<uint64_t*>(consumer_page_), position, __ATOMIC_RELEASE);
  }
}

size_t RingReader::drain(const std::function<void(const uint8_t*, size_t)>& deliver) {
  epoll_event event;
  epoll_wait(epoll_.get(), &event, 1, 0);  // takes the wake-up, if there is one

  uint64_t position = position_;
  const uint64_t end = produced();
  size_t delivered = 0;
  while (position < end) {
    const uint8_t* record = at(position, BPF_RINGBUF_HDR_SZ);
    if (record == nullptr) break;
    const uint32_t header =
        __atomic_load_n(reinterpret_cast<const uint32_t*>(record), __ATOMIC_ACQUIRE);
    if ((header & BPF_RINGBUF_BUSY_BIT) != 0) break;  // reserved, not yet submitted
    const uint32_t size = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    record = at(position, BPF_RINGBUF_HDR_SZ + size_t{size});
    if (record == nullptr) break;
    if ((header & BPF_RINGBUF_DISCARD_BIT) == 0) {
      deliver(record + BPF_RINGBUF_HDR_SZ, size);
      ++delivered;
    }
    position += (uint64_t{size} + BPF_RINGBUF_HDR_SZ + 7) & ~uint64_t{7};
    // Every producer reads our position: not after each record, but while the room counts.
    if (position - position_ >= ring_bytes_ / kPublishedParts) publish(position);
  }
  publish(position);
  return delivered;
}

}  // namespace ktap::sys
