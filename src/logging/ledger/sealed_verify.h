/// Whether a sealed segment is what sealing made of a live one: nothing of it changed, and nothing in it
/// contradicts itself.
#pragma once

#include <functional>
#include <optional>
#include <string>

#include "logging/ledger/sealed_segment.h"

namespace culvert::logging::ledger {

/// Checks
/// - the hash of the whole file, and every checksum;
/// - that `predecessor`, where it is given, is the hash in the footer of the segment before, as this one
/// says;
/// - what header and directory say of the pages, and the dictionary of who is in which;
/// - that each page carries what the address' page before ended with;
/// - that the events of each millisecond are all there (ties);
/// - that the records can follow each other (State): no block is allocated while another holds it, and so on.
///   What is told of these was wrong in the live segment, and was told when that was sealed.
///
/// Each finding is told; true: there was none. Memory: that of a SealedReader and a State. Throws what a
/// SealedReader throws.
bool verify(SealedSegment& segment, const std::optional<Digest>& predecessor,
            const std::function<void(const std::string&)>& tell);

}  // namespace culvert::logging::ledger
