/// Texts of RADIUS packets for people's eyes. A subscriber chooses his User-Name, and a User-Name may hold
/// what a terminal takes for orders.
///
/// A function of values; any thread.
#pragma once

#include <string>
#include <string_view>

namespace culvert::logging::radius {

/// UTF-8 as it is; control characters and bytes that are no UTF-8 as \x1b.
std::string printable(std::string_view text);

}  // namespace culvert::logging::radius
