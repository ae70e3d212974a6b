#include "logging/ledger/seal.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "logging/ledger/crc32c.h"
#include "logging/ledger/new_file.h"
#include "logging/ledger/seal_input.h"
#include "logging/ledger/sealed_carried.h"
#include "logging/ledger/sealed_dictionary.h"
#include "logging/ledger/sealed_page_writer.h"

namespace culvert::logging::ledger {
namespace {

/// Of a page: what one question about an address has to unpack, and what a page costs to begin, weigh against
/// each other.
constexpr uint64_t kPageWeight = 8192;

/// Writes a sealed segment from front to back.
class Sealer {
 public:
  Sealer(const SealInput& input, const std::filesystem::path& path)
      : input_(input), page_(input.header.opened, input.subscribers), file_(path) {}

  Sealed write() {
    append(encode(input_.header));
    for (const SealInput::Note& n : input_.notes) {
      Record r = n.record;
      r.body = n.body;
      make_room(PageWriter::weight(r));
      page_.add(r, n.tie);
    }
    end_page();
    directory_.note_pages = directory_.pages.size();
    for (const uint32_t i : input_.loose) {
      const PageRecord& p = input_.records[i];
      const Record r = input_.sealed(p, body_);
      make_room(PageWriter::weight(r));
      page_.add(r, p.tie);
    }
    end_page();
    directory_.loose_pages = directory_.pages.size() - directory_.note_pages;
    for (const auto& [address, place] : input_.places) {
      if (place.weight > kPageWeight) {
        write_alone(net::Ipv4Address(address), place);
        continue;
      }
      make_room(place.weight);
      begin_address(net::Ipv4Address(address), place);
      for (const uint32_t i : place.records) add(input_.records[i]);
    }
    end_page();
    write_dictionary();
    return write_end();
  }

 private:
  void append(std::string_view bytes) {
    file_.append(bytes);
    hash_.add(bytes);
    size_ += bytes.size();
  }
  SealedDirectory::Part append_part(std::string_view bytes) {
    const SealedDirectory::Part part{size_, static_cast<uint32_t>(bytes.size()), crc32c(bytes)};
    append(bytes);
    return part;
  }

  void make_room(uint64_t weight) {
    if (!page_.empty() && page_.weight() + weight > kPageWeight) end_page();
  }
  void end_page() {
    if (page_.empty()) return;
    PageWriter::Made made = page_.take(packer_);
    made.entry.part = append_part(made.bytes);
    for (const uint32_t subscriber : made.subscribers)
      named_.emplace_back(subscriber, static_cast<uint32_t>(directory_.pages.size()));
    directory_.pages.push_back(made.entry);
  }

  void begin_address(net::Ipv4Address address, const SealInput::Place& place) {
    page_.address(address, place.blocks);
    for (const PageRecord& p : place.carried) page_.carried(input_.sealed(p, body_));
  }
  void add(const PageRecord& p) { page_.add(input_.sealed(p, body_), p.tie); }

  /// An address of so many records that it gets pages of its own, each of a part of the time. What it carries
  /// makes up half of a page at most, and no page begins in the midst of a millisecond: what happened to a
  /// block in one belongs together (docs/ledger.md).
  void write_alone(net::Ipv4Address address, const SealInput::Place& place) {
    end_page();
    const uint64_t opened = input_.header.opened;
    State state = state_of(opened, place.blocks);
    begin_address(address, place);
    for (const PageRecord& p : place.carried) apply_carried(state, input_.sealed(p, body_), opened);
    const auto limit = [&] { return page_.weight() + std::max(kPageWeight, page_.weight()); };
    uint64_t full = limit(), last_time = opened;
    for (const uint32_t i : place.records) {
      const Record r = input_.sealed(input_.records[i], body_);
      if (page_.weight() > full && r.time != last_time) {
        end_page();
        page_.address(address, place.blocks);
        for_each_carried(state, opened, [this](const Record& carried) { page_.carried(carried); });
        full = limit();
      }
      page_.add(r, input_.records[i].tie);
      state.apply(r);
      last_time = r.time;
    }
    end_page();
  }

  void write_dictionary() {
    std::ranges::sort(named_);
    auto next = named_.begin();
    DictionaryChunk chunk;
    const auto end_chunk = [&] {
      if (chunk.subscribers.empty()) return;
      const SealedDirectory::Part part = append_part(encode(chunk, packer_));
      directory_.chunks.push_back(
          {part, static_cast<uint32_t>(chunk.subscribers.size()), chunk.subscribers.front()});
      chunk = {};
    };
    for (const SubscriberNote& s : input_.subscribers) {
      const auto end = std::find_if(next, named_.end(), [&](const auto& n) { return n.first != s.number; });
      if (chunk.subscribers.size() == kChunkSubscribers ||
          chunk.pages.size() + static_cast<size_t>(end - next) > kMaxChunkPages)
        end_chunk();
      chunk.subscribers.push_back(s);
      for (; next != end; ++next) chunk.pages.push_back(next->second);
      chunk.ends.push_back(static_cast<uint32_t>(chunk.pages.size()));
    }
    end_chunk();
    directory_.subscribers = input_.subscribers.size();
  }

  Sealed write_end() {
    SealedFooter footer;
    const SealedDirectory::Part part = append_part(encode(directory_, input_.header.opened, packer_));
    footer.directory = part.offset;
    footer.directory_bytes = part.bytes;
    footer.directory_crc = part.crc;
    append(encode_hashed(footer));
    const Digest digest = hash_.digest();
    std::string rest(reinterpret_cast<const char*>(digest.data()), digest.size());
    rest += kTailMagic;
    file_.append(rest);
    file_.finish();
    return {input_.header, digest, size_ + rest.size()};
  }

  const SealInput& input_;
  PageWriter page_;
  NewFile file_;
  Sha256 hash_;
  ColumnPacker packer_;
  SealedDirectory directory_;
  std::vector<std::pair<uint32_t, uint32_t>> named_;  ///< subscriber, page that names him
  uint64_t size_ = 0;
  std::string body_;
};

}  // namespace

Sealed seal(std::string_view live, const Digest& predecessor, const std::filesystem::path& path,
            uint64_t next_ordinal, const std::function<void(const Damage&)>& on_damage,
            const std::function<void(const Record&, const std::string&)>& on_fault) {
  SealInput input = read_live(live, next_ordinal, on_damage, on_fault);
  input.header.predecessor = predecessor;
  return Sealer(input, path).write();
}

}  // namespace culvert::logging::ledger
