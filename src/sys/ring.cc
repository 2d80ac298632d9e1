// Reads a ring buffer in place. Order of memory: a record's header is read with acquire after the
// producer's position, our position is published with release after the record was used.
#include "sys/ring.h"

#include <linux/bpf.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "sys/errors.h"

namespace ktap::sys {

namespace {

constexpr size_t kPublishedParts = 64;  // guessed: what is read and not yet given back is 1/64

}  // namespace

Result<RingReader> RingReader::open(const Map& ring) {
  RingReader reader;
  reader.page_bytes_ = static_cast<size_t>(sysconf(_SC_PAGESIZE));
  reader.ring_bytes_ = ring.spec().max_entries;
  void* consumer =
      mmap(nullptr, reader.page_bytes_, PROT_READ | PROT_WRITE, MAP_SHARED, ring.fd(), 0);
  if (consumer == MAP_FAILED) return system_error("mapping the ring buffer", errno);
  reader.consumer_ = static_cast<uint64_t*>(consumer);
  void* producer = mmap(nullptr, reader.page_bytes_ + 2 * reader.ring_bytes_, PROT_READ, MAP_SHARED,
                        ring.fd(), static_cast<off_t>(reader.page_bytes_));
  if (producer == MAP_FAILED) return system_error("mapping the ring buffer", errno);
  reader.producer_page_ = static_cast<uint8_t*>(producer);

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
  std::swap(ring_bytes_, other.ring_bytes_);
  std::swap(page_bytes_, other.page_bytes_);
  std::swap(consumer_, other.consumer_);
  std::swap(producer_page_, other.producer_page_);
  return *this;
}

RingReader::~RingReader() {
  if (consumer_ != nullptr) munmap(consumer_, page_bytes_);
  if (producer_page_ != nullptr) munmap(producer_page_, page_bytes_ + 2 * ring_bytes_);
}

size_t RingReader::drain(const std::function<void(const uint8_t*, size_t)>& deliver) {
  epoll_event event;
  epoll_wait(epoll_.get(), &event, 1, 0);  // takes the wake-up, if there is one

  uint64_t position = *consumer_;
  const uint64_t end =
      __atomic_load_n(reinterpret_cast<uint64_t*>(producer_page_), __ATOMIC_ACQUIRE);
  const uint8_t* data = producer_page_ + page_bytes_;
  size_t delivered = 0;
  uint64_t published = position;
  while (position < end) {
    const uint8_t* record = data + (position & (ring_bytes_ - 1));
    const uint32_t header =
        __atomic_load_n(reinterpret_cast<const uint32_t*>(record), __ATOMIC_ACQUIRE);
    if ((header & BPF_RINGBUF_BUSY_BIT) != 0) break;  // reserved, not yet submitted
    const uint32_t size = header & ~(BPF_RINGBUF_BUSY_BIT | BPF_RINGBUF_DISCARD_BIT);
    if ((header & BPF_RINGBUF_DISCARD_BIT) == 0) {
      deliver(record + BPF_RINGBUF_HDR_SZ, size);
      ++delivered;
    }
    position += (uint64_t{size} + BPF_RINGBUF_HDR_SZ + 7) & ~uint64_t{7};
    // Every producer reads our position: not after each record, but while the room counts.
    if (position - published >= ring_bytes_ / kPublishedParts) {
      published = position;
      __atomic_store_n(consumer_, position, __ATOMIC_RELEASE);
    }
  }
  __atomic_store_n(consumer_, position, __ATOMIC_RELEASE);
  return delivered;
}

}  // namespace ktap::sys
