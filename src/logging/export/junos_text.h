/// Lines as Juniper's carrier-grade NAT writes them, so that what an operator has built for those reads
/// Culvert's. The long form, of a block and of a mapping asked for by PCP:
///
///     (FPC Slot 0, PIC Slot 1) 2013-09-19 07:08:10 [FWNAT]:ASP_NAT_PORT_BLOCK_ALLOC:
///         2a02:2149:ff01:6869:7c84:6829:ca04:f3cd -> 194.219.240.252:5120-6143
///     (FPC Slot 0, PIC Slot 1) 2013-09-19 07:50:59 [FWNAT]:ASP_NAT_PORT_BLOCK_RELEASE:
///         2a02:2149:ff01:6869:7c84:6829:ca04:f3cd -> 194.219.240.252:3072-4095 0x523aa078
///     (FPC Slot 0, PIC Slot 1) 2013-09-19 06:58:48 {homes}[FWNAT]:ASP_PCP_NAT_MAP_CREATE:
///         2a02:2149:ff01:6869:7c84:6829:ca04:f3cd 192.168.1.2:48000 -> 194.219.240.252:48000
///
/// (each on one line). Times are UTC; the PIC is the worker, the service set the instance; the number behind
/// a release is when the block was allocated, in seconds since 1970. Sessions are ASP_SFW_CREATE_ACCEPT_FLOW
/// and ASP_SFW_DELETE_FLOW. What Junos has no word for is told as `culvert log show` does (entry_text.h).
///
/// The short form has what an answer to a legal demand needs: time of day, A(llocated), R(eleased), C(reated)
/// or D(eleted), protocol of a session, public address, ports, and the first 64 bits of an IPv6 subscriber:
///
///     07:08:10 A 194.219.240.252 5120-6143 2a02:2149:ff01:6869
///
/// Functions of values; any thread.
#pragma once

#include <string>

#include "logging/entry.h"

namespace culvert::logging {

void append_junos(std::string& out, const Entry& e);
void append_junos_short(std::string& out, const Entry& e);

}  // namespace culvert::logging
