#include "config/keys_logging.h"

#include "logging/export/config.h"

namespace culvert::config::logging_keys {
namespace {

using logging::ExportConfig;

constexpr uint64_t day = 86'400;

constexpr Choice durability_choices[] = {
    {"buffered",
     "it serves at once; a crash of the machine may lose the records of the last 100 ms, and then nobody "
     "gets a "
     "new block before `hold-down-timeout` is over"},
    {"strict", "its first packets wait until the record is on the disk"},
};

constexpr Key retention_keys[] = {
    {.name = "max-age",
     .kind = Kind::duration,
     .meaning = "Segments whose last record is older are removed. 0: they are kept for ever.",
     .default_text = "0",
     .min = 0,
     .max = 3650 * day},
    {.name = "max-megabytes",
     .kind = Kind::integer,
     .meaning =
         "When all segments together have more, the oldest are removed. 0: they may have any size. A disk "
         "that is full of other things is not this key's: without room no new blocks are given.",
     .default_text = "0",
     .min = 0,
     .max = 1'000'000'000},
};
constexpr Key tls_keys[] = {
    {.name = "ca-file",
     .kind = Kind::path,
     .meaning = "PEM file: who may have signed the collector's certificate.",
     .reference = "RFC 5425 §4.2.1",
     .example = "/etc/culvert/siem-ca.pem",
     .mandatory = true},
    {.name = "server-name",
     .kind = Kind::text,
     .meaning = "The name that the certificate must have.",
     .reference = "RFC 5425 §5.2",
     .default_note = "the collector's address",
     .example = "siem.example.net"},
    {.name = "certificate-file",
     .kind = Kind::path,
     .meaning = "PEM file with our own certificate and its chain, for a collector that wants one.",
     .reference = "RFC 5425 §4.2.2",
     .default_note = "none",
     .example = "/etc/culvert/cgn1.pem"},
    {.name = "private-key-file",
     .kind = Kind::path,
     .meaning = "PEM file with the key of that certificate.",
     .default_note = "none",
     .example = "/etc/culvert/cgn1.key"},
};

constexpr Choice protocol_choices[] = {
    {ExportConfig::name_of(ExportConfig::Protocol::syslog), "a message an event, RFC 5424"},
    {ExportConfig::name_of(ExportConfig::Protocol::ipfix), "NAT events, RFC 7011 and RFC 8158"},
    {ExportConfig::name_of(ExportConfig::Protocol::netflow_v9), "the same for older collectors, RFC 3954"},
};

constexpr Choice transport_choices[] = {
    {ExportConfig::name_of(ExportConfig::Transport::udp), "what is lost on the way is lost"},
    {ExportConfig::name_of(ExportConfig::Transport::tcp), "every event arrives, once at least"},
    {ExportConfig::name_of(ExportConfig::Transport::tls),
     "the same, encrypted, to a collector with the right certificate"},
};

constexpr Choice format_choices[] = {
    {ExportConfig::name_of(ExportConfig::Format::culvert), "the line of `culvert log show`"},
    {ExportConfig::name_of(ExportConfig::Format::junos), "what Juniper's CGN writes"},
    {ExportConfig::name_of(ExportConfig::Format::junos_short), "the same, shortened to what an answer needs"},
    {ExportConfig::name_of(ExportConfig::Format::custom), "the operator's own, `template`"},
};

constexpr Key export_keys[] = {
    {.name = "name",
     .kind = Kind::instance_name,
     .meaning = "The export's name in log lines and metrics, and of the file with its position.",
     .example = "siem",
     .mandatory = true},
    {.name = "protocol",
     .kind = Kind::choice,
     .meaning = "What it speaks.",
     .example = "syslog",
     .choices = protocol_choices,
     .mandatory = true},
    {.name = "transport",
     .kind = Kind::choice,
     .meaning = "What carries it.",
     .reference = "RFC 5426, RFC 6587 §3.4.1, RFC 5425, RFC 7011 §10",
     .default_text = "udp",
     .choices = transport_choices},
    {.name = "collector",
     .kind = Kind::socket_address,
     .meaning = "Where the collector listens. No name: nothing is looked up while exporting.",
     .example = "192.0.2.5:514",
     .mandatory = true},
    {.name = "max-packet-size",
     .kind = Kind::integer,
     .meaning = "`udp`: bytes of a datagram's payload at most.",
     .default_text = "1400",
     .min = 1024,
     .max = 65'000},
    {.name = "datagrams-per-second",
     .kind = Kind::integer,
     .meaning = "`udp`: not more, since a collector's socket buffer is small. 0: no limit.",
     .default_text = "20000",
     .min = 0,
     .max = 10'000'000},
    {.name = "overlap",
     .kind = Kind::integer,
     .meaning =
         "`tcp`, `tls`: bytes that are sent again after the connection broke, because the collector may not "
         "have read what its kernel acknowledged.",
     .default_text = "8388608",
     .min = 0,
     .max = 67'108'864},
    {.name = "format",
     .kind = Kind::choice,
     .meaning = "`syslog`: the text of a message.",
     .default_text = "culvert",
     .choices = format_choices},
    {.name = "template",
     .kind = Kind::text,
     .meaning =
         "`format: template`: a line with {FIELD} where a field of the event is to stand (docs/exports.md).",
     .default_note = "none",
     .example = "\"{time} {event} {subscriber} {external}:{ports}\""},
    {.name = "hostname",
     .kind = Kind::text,
     .meaning = "`syslog`: HOSTNAME of a message.",
     .reference = "RFC 5424 §6.2.4",
     .default_note = "the machine's",
     .example = "cgn1.example.net"},
    {.name = "facility",
     .kind = Kind::integer,
     .meaning = "`syslog`: the facility's number; 16 is local0.",
     .reference = "RFC 5424 §6.2.1",
     .default_text = "16",
     .min = 0,
     .max = 23},
    {.name = "structured-data",
     .kind = Kind::boolean,
     .meaning =
         "`syslog`: each field of the event as an SD-PARAM. Without it nothing tells messages that are sent "
         "twice.",
     .reference = "RFC 5424 §6.3",
     .default_text = "true"},
    {.name = "enterprise-number",
     .kind = Kind::integer,
     .meaning = "`syslog`: in the SD-ID. The default is the one for documentation.",
     .reference = "RFC 5612",
     .default_text = "32473",
     .min = 1,
     .max = 4'294'967'295},
    {.name = "observation-domain-id",
     .kind = Kind::integer,
     .meaning = "`ipfix`: the Observation Domain; `netflow-v9`: the Source ID.",
     .reference = "RFC 7011 §3.1",
     .default_text = "1",
     .min = 0,
     .max = 4'294'967'295},
    {.name = "template-refresh-timeout",
     .kind = Kind::duration,
     .meaning = "`ipfix`, `netflow-v9` over `udp`: templates are sent again after this time.",
     .reference = "RFC 7011 §8.4",
     .default_text = "60",
     .min = 1,
     .max = 86'400},
    {.name = "template-refresh-packet",
     .kind = Kind::integer,
     .meaning = "… or after so many messages.",
     .default_text = "500",
     .min = 1,
     .max = 1'000'000'000},
    {.name = "tls",
     .kind = Kind::section,
     .meaning = "`tls`: whom to trust. The files are read for each connection.",
     .default_note = "none",
     .section = &tls_section},
};

constexpr Key logging_keys[] = {
    {.name = "durability",
     .kind = Kind::choice,
     .meaning = "What a new port block waits for.",
     .default_text = "buffered",
     .choices = durability_choices,
     .restart = true},
    {.name = "ledger-directory",
     .kind = Kind::path,
     .meaning = "Directory of the ledger: the record of who held which address and ports when.",
     .reference = "RFC 6888 §4",
     .default_text = "/var/lib/culvert/ledger",
     .restart = true},
    {.name = "ledger-segment-events",
     .kind = Kind::integer,
     .meaning = "Events after which a segment of the ledger ends, if the day does not end before.",
     .default_text = "4194304",
     .min = 1000,
     .max = 4'194'304,
     .restart = true},
    {.name = "ring-directory",
     .kind = Kind::path,
     .meaning =
         "Directory of the file-backed rings between the workers and the recorder. In memory (tmpfs) they "
         "cost no disk writes and outlive a crash of culvertd; on a disk they delay packets when it is slow.",
     .default_text = "/run/culvert/rings",
     .restart = true},
    {.name = "log-retention",
     .kind = Kind::section,
     .meaning = "When old segments of the ledger are removed.",
     .default_note = "they are kept for ever",
     .section = &retention_section},
    {.name = "exports",
     .kind = Kind::section,
     .meaning = "Collectors that get what the ledger records, as it happens.",
     .default_note = "none",
     .section = &export_section,
     .max_items = 16},
};

}  // namespace

const Section logging_section{"logging", "Where records go.", logging_keys};
const Section retention_section{
    "log-retention",
    "How long the ledger's segments are kept. What goes is put on record first; what is not sealed stays.",
    retention_keys};
const Section tls_section{"tls", "Certificates of an export with `transport: tls`.", tls_keys};
const Section export_section{
    "export",
    "One entry of `exports`. docs/exports.md tells what arrives, and when. Keys that an "
    "export's protocol or transport has no use for are refused.",
    export_keys};

}  // namespace culvert::config::logging_keys
