/// Sealing: a live segment becomes a sealed one (docs/ledger.md, "A sealed segment"): the same records sorted
/// by external address, in columns, compressed, with an index, and chained to the segment before.
///
/// What the sealed segment leaves out: how records were batched and in which order subscribers were defined.
/// A subscriber that damage left undefined is ::/0 of instance 0.
///
/// Memory: that of SealInput, 8 bytes for each page that a subscriber is in, and one page (some MB). For a
/// day of 4 million events that is 200 MB; the live segment's bytes are read once, from the first to the
/// last, and looked up again for bodies.
///
/// Any thread.
#pragma once

#include <filesystem>
#include <functional>
#include <string>
#include <string_view>

#include "logging/ledger/live_reader.h"
#include "logging/ledger/sealed_format.h"

namespace culvert::logging::ledger {

struct Sealed {
  SealedHeader header;
  Digest sha256{};  ///< in its footer
  uint64_t bytes = 0;
};

/// Seals `live`, the bytes of a live segment, into a new file `path`, which is on the disk with its name when
/// this returns. `predecessor`: the hash in the footer of the sealed segment before; zeros: there is none.
/// `next_ordinal`: that of the next segment's first event; what is here from it on does not count
/// (docs/ledger.md, "Ordinals").
/// `on_damage` is told of damage in the live segment, `on_fault` what State says of its records; both may be
/// empty.
///
/// Throws std::system_error, with a path, when the file cannot be written, std::runtime_error when `live` is
/// no live segment or has more in it than can be; then there is no such file.
Sealed seal(std::string_view live, const Digest& predecessor, const std::filesystem::path& path,
            uint64_t next_ordinal = UINT64_MAX, const std::function<void(const Damage&)>& on_damage = {},
            const std::function<void(const Record&, const std::string&)>& on_fault = {});

}  // namespace culvert::logging::ledger
