#include <iterator>

#include "config/keys.h"

namespace culvert::config {
namespace {

constexpr KindInfo infos[] = {
    {"true or false", "true", ""},
    {"an integer", "1", ""},
    {"a number of seconds, or one with s, m, h or d", "300", "^[0-9]+[smhd]$"},
    {"a word", "", ""},
    {"a name (a letter, then up to 62 letters, digits, dots, hyphens or underscores)", "homes",
     "^[A-Za-z][A-Za-z0-9._-]{0,62}$"},
    {"a name of 1 to 15 characters (a letter, then letters, digits, dots, hyphens or underscores)", "inside0",
     "^[A-Za-z][A-Za-z0-9._-]{0,14}$"},
    {"one line of 1 to 1024 bytes", "cgn1.example.net", "^.{1,1024}$"},
    {"a PCI address or a DPDK virtual device", "0000:03:00.0",
     "^(([0-9A-Fa-f]{4,8}:)?[0-9A-Fa-f]{2}:[0-9A-Fa-f]{2}\\.[0-7]|net_[a-z0-9_]+)(,.*)?$"},
    {"an absolute path of at most 100 characters", "/var/log/culvert/blocks.log", "^/.{1,99}$"},
    {"ADDRESS:PORT, [IPV6-ADDRESS]:PORT or \"\"", "127.0.0.1:9780",
     "^(|([0-9.]+|\\[[0-9A-Fa-f:.]+\\]):[0-9]{1,5})$"},
    {"an IPv4 address", "192.0.2.1", "^[0-9]{1,3}(\\.[0-9]{1,3}){3}$"},
    {"an IPv6 address", "2001:db8::1", "^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*$"},
    {"an IPv4 or IPv6 address", "192.0.2.1", "^[0-9A-Fa-f:.]+$"},
    {"an IPv4 or IPv6 prefix", "203.0.113.0/24", "^[0-9A-Fa-f:.]+/[0-9]{1,3}$"},
    {"an IPv6 prefix", "2001:db8:64::/96", "^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/[0-9]{1,3}$"},
    {"an IPv4 address with its prefix length", "192.0.2.1/24", "^[0-9]{1,3}(\\.[0-9]{1,3}){3}/[0-9]{1,2}$"},
    {"an IPv6 address with its prefix length", "2001:db8::1/64",
     "^[0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*/[0-9]{1,3}$"},
    {"a MAC or an IPv4 address", "192.0.2.254",
     "^([0-9]{1,3}(\\.[0-9]{1,3}){3}|[0-9A-Fa-f]{2}([:-][0-9A-Fa-f]{2}){5})$"},
    {"a MAC or an IPv6 address", "2001:db8::fe",
     "^([0-9A-Fa-f:.]*:[0-9A-Fa-f:.]*|[0-9A-Fa-f]{2}(-[0-9A-Fa-f]{2}){5})$"},
    {"a range of ports FIRST-LAST", "1024-65535", "^[0-9]{1,5}-[0-9]{1,5}$"},
    {"a mapping of keys", "", ""},
};
static_assert(std::size(infos) == static_cast<size_t>(Kind::section) + 1);

}  // namespace

const KindInfo& kind_info(Kind kind) { return infos[static_cast<size_t>(kind)]; }

}  // namespace culvert::config
