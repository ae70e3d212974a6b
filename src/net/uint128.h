#pragma once

namespace culvert::net {

/// An IPv6 address as a number; the product of two 64-bit words.
__extension__ typedef unsigned __int128 Uint128;

}  // namespace culvert::net
