#include "feed.h"

#include <stdexcept>

namespace culvert::bench {

Feed::Feed(rte_mempool* buffers) : buffers_(buffers), mbufs_(kWindow) { out_.reserve(4 * kWindow); }

Feed::~Feed() { free_out(); }

void Feed::load(const Fill& fill) {
  free_out();
  if (rte_pktmbuf_alloc_bulk(buffers_, mbufs_.data(), kWindow) != 0)
    throw std::runtime_error("packet buffers have leaked");
  for (unsigned i = 0; i < kWindow; i++) {
    rte_mbuf* m = mbufs_[i];
    const unsigned size = fill(rte_pktmbuf_mtod(m, uint8_t*), i);
    m->data_len = static_cast<uint16_t>(size);
    m->pkt_len = size;
  }
}

void Feed::free_out() {
  if (!out_.empty()) rte_pktmbuf_free_bulk(out_.data(), static_cast<unsigned>(out_.size()));
  out_.clear();
}

}  // namespace culvert::bench
