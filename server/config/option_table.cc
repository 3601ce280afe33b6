#include "server/config/option_table.h"

namespace calserve {
namespace {

using Field = Option::Field;

// The defaults are those of each room's Options struct. A limit is where a value is surely a mistake, or
// where the program would not hold.
constexpr Option kOptions[] = {
    {"model_repository", OptionKind::kText, "", "directory",
     [](ServerConfig& c) -> Field { return &c.model_repository; },
     "where the models are: NAME/model.yaml; the one option that must be set"},
    {"listen", OptionKind::kText, "", "host:port", [](ServerConfig& c) -> Field { return &c.grpc.listen; },
     "address of gRPC; loopback until you decide who may reach it; port 0 takes a free one"},
    {"admin_listen", OptionKind::kText, "", "host:port",
     [](ServerConfig& c) -> Field { return &c.admin.listen; },
     "address of /metrics, /healthz, /readyz and the page; port 0 takes a free one; "
     "empty or off: none"},
    {"data_dir", OptionKind::kText, "", "directory",
     [](ServerConfig& c) -> Field { return &c.store.data_dir; },
     "holds the store and the ticket keys; made if it is not there; back it up"},
    {"store", OptionKind::kText, "", "URL", [](ServerConfig& c) -> Field { return &c.store.url; },
     "where feedback is kept: sqlite:///PATH; empty: SQLite in data_dir"},
    {"store_busy_timeout", OptionKind::kDuration, "0s 1m", "",
     [](ServerConfig& c) -> Field { return &c.store.busy_timeout; },
     "how long to wait for another process's lock on the store; then feedback is UNAVAILABLE"},
    {"retention", OptionKind::kDuration, "2d 3650d", "",
     [](ServerConfig& c) -> Field { return &c.retention; },
     "how long labels are stored; at least tickets.feedback_ttl + 1d, so that a label sent again meets its "
     "first use"},
    {"log_level", OptionKind::kChoice, "debug info warn error", "",
     [](ServerConfig& c) -> Field { return &c.log_level; },
     "the least severe that is logged; calserve log-level changes it while the server runs"},
    {"log_format", OptionKind::kChoice, "auto text json", "",
     [](ServerConfig& c) -> Field { return &c.log_format; },
     "of the log's lines on standard error: text, or a JSON object each; auto: text on a terminal, else "
     "JSON"},
    {"intra_op_threads", OptionKind::kCount, "0 1024", "threads",
     [](ServerConfig& c) -> Field { return &c.intra_op_threads; },
     "LibTorch's in one forward pass; 0: cores / instances of all models that the repository holds "
     "when one is loaded, cores from the cgroup limit"},
    {"device_error_policy", OptionKind::kChoice, "exit stay", "",
     [](ServerConfig& c) -> Field { return &c.device_error_policy; },
     "when a GPU does not answer any more, health says NOT_SERVING; exit: then drains and exits with 6, to "
     "be "
     "restarted; stay: serves on with what is left"},

    {"insecure", OptionKind::kFlag, "", "", [](ServerConfig& c) -> Field { return &c.insecure; },
     "lets listen and admin_listen be other than loopback without TLS: anybody on the way can read and "
     "change "
     "what is sent, tokens included"},

    {"tls.certificate_file", OptionKind::kText, "", "file",
     [](ServerConfig& c) -> Field { return &c.tls.certificate_file; },
     "PEM, the server's certificate and those that lead to its root: gRPC and the admin port are then TLS; "
     "read again when it changes"},
    {"tls.key_file", OptionKind::kText, "", "file", [](ServerConfig& c) -> Field { return &c.tls.key_file; },
     "PEM, the certificate's key, without a passphrase and not readable by everybody"},
    {"tls.client_ca_file", OptionKind::kText, "", "file",
     [](ServerConfig& c) -> Field { return &c.tls.client_ca_file; },
     "PEM; gRPC clients must have a certificate of one of these (mutual TLS), clients of the admin port may"},
    {"tls.client_names", OptionKind::kList, "", "NAME=ROLE+ROLE",
     [](ServerConfig& c) -> Field { return &c.access.client_names; },
     "what the names in clients' certificates may do: app.example=predict+feedback"},

    {"access.tokens_file", OptionKind::kText, "", "file",
     [](ServerConfig& c) -> Field { return &c.access.tokens_file; },
     "bearer tokens, hashed: NAME ROLE,ROLE sha256:HEX a line, made by --new-token; read again when it "
     "changes"},
    {"access.jwks_file", OptionKind::kText, "", "file",
     [](ServerConfig& c) -> Field { return &c.access.jwks_file; },
     "public keys (JWKS) that bearer tokens may be signed with as JWTs; read again when it changes"},
    {"access.jwt_issuer", OptionKind::kText, "", "text",
     [](ServerConfig& c) -> Field { return &c.access.jwt_issuer; }, "what a JWT's iss must be"},
    {"access.jwt_audience", OptionKind::kText, "", "text",
     [](ServerConfig& c) -> Field { return &c.access.jwt_audience; },
     "what a JWT's aud must be, or have among others: a token for another service is none for this one"},
    {"access.jwt_roles_claim", OptionKind::kText, "", "name",
     [](ServerConfig& c) -> Field { return &c.access.jwt_roles_claim; },
     "the claim with the roles predict, feedback, read, admin, as a list or words with spaces between them"},
    {"access.rate_limit", OptionKind::kCount, "0 1000000", "calls",
     [](ServerConfig& c) -> Field { return &c.access.limits.rate_limit; },
     "a second, of one client (token, JWT subject, certificate name; all who are not asked together), "
     "messages "
     "of streams included; beyond it RESOURCE_EXHAUSTED; 0: no limit"},
    {"access.concurrency_limit", OptionKind::kCount, "0 1000000", "calls",
     [](ServerConfig& c) -> Field { return &c.access.limits.concurrency_limit; },
     "of one client under way; beyond it RESOURCE_EXHAUSTED; 0: no limit"},
    {"access.audit_file", OptionKind::kText, "", "file",
     [](ServerConfig& c) -> Field { return &c.access.audit_file; },
     "a line is appended for every action that changes what is served, and every attempt; what cannot be "
     "audited is refused; empty: in the log"},

    {"admin.tls", OptionKind::kChoice, "auto off", "", [](ServerConfig& c) -> Field { return &c.admin_tls; },
     "auto: the admin port is TLS where gRPC is, with the same certificate; off: plain HTTP"},
    {"admin.open_metrics", OptionKind::kFlag, "", "",
     [](ServerConfig& c) -> Field { return &c.admin.open_metrics; },
     "anybody may read /metrics also where callers are asked who they are; else it needs the role read"},
    {"admin.allowed_hosts", OptionKind::kList, "", "names",
     [](ServerConfig& c) -> Field { return &c.admin.dashboard.allowed_hosts; },
     "host names by which browsers may open the page and scrapers without a token read /metrics, beside IP "
     "addresses and localhost"},

    {"repository.control", OptionKind::kChoice, "none poll explicit", "",
     [](ServerConfig& c) -> Field { return &c.repository.control; },
     "none: what is there at start; poll: looks for new, changed and removed versions; explicit: loads and "
     "unloads by call"},
    {"repository.poll_interval", OptionKind::kDuration, "10ms 1d", "",
     [](ServerConfig& c) -> Field { return &c.repository.poll_interval; },
     "between two looks, with poll; what two looks in a row show alike is acted upon"},
    {"repository.load", OptionKind::kList, "", "names",
     [](ServerConfig& c) -> Field { return &c.repository.load; },
     "models loaded at start, with explicit; others are loaded by call"},
    {"repository.trial", OptionKind::kChoice, "never serving always", "",
     [](ServerConfig& c) -> Field { return &c.repository.trial; },
     "which versions are loaded in a process of their own first, so that one that ends it, or never loads, "
     "takes nothing down: serving: those that come while the server serves"},
    {"repository.trial_timeout", OptionKind::kDuration, "1s 1d", "",
     [](ServerConfig& c) -> Field { return &c.repository.trial_timeout; },
     "what such a trial may take, while serving at the lowest priority; beyond it the version has failed"},

    {"grpc.max_message_bytes", OptionKind::kBytes, "1KiB 1GiB", "",
     [](ServerConfig& c) -> Field { return &c.grpc.max_message_bytes; },
     "largest message received, inflated where it is compressed; beyond it RESOURCE_EXHAUSTED"},
    {"grpc.max_received_bytes", OptionKind::kBytes, "64KiB 1024GiB", "",
     [](ServerConfig& c) -> Field { return &c.grpc.max_received_bytes; },
     "messages of 4 KiB and more whose calls are not answered yet, of all calls, by what they take once "
     "parsed; beyond it RESOURCE_EXHAUSTED. Beyond as much again, a quarter of it and 256 MiB, of messages "
     "that are not whole yet and of large tensors of those that are, gRPC ends calls of any client"},
    {"grpc.max_unsent_bytes", OptionKind::kBytes, "64KiB 1024GiB", "",
     [](ServerConfig& c) -> Field { return &c.grpc.max_unsent_bytes; },
     "answers of 4 KiB and more that clients have not read yet, of all calls; beyond it RESOURCE_EXHAUSTED"},
    {"grpc.max_concurrent_streams", OptionKind::kCount, "1 1000000", "calls",
     [](ServerConfig& c) -> Field { return &c.grpc.max_concurrent_streams; },
     "calls under way on one connection; more wait on the client's side"},
    {"grpc.keepalive_time", OptionKind::kDuration, "1s 1d", "",
     [](ServerConfig& c) -> Field { return &c.grpc.keepalive_time; },
     "a client that has been silent for so long is asked whether it is still there"},
    {"grpc.keepalive_timeout", OptionKind::kDuration, "100ms 1h", "",
     [](ServerConfig& c) -> Field { return &c.grpc.keepalive_timeout; },
     "one that does not answer within it is gone: its calls are cancelled"},
    {"grpc.min_ping_interval", OptionKind::kDuration, "0s 1h", "",
     [](ServerConfig& c) -> Field { return &c.grpc.min_ping_interval; },
     "how often clients may ask so (their keepalive); one that asks sooner again and again loses its "
     "connection (too_many_pings)"},
    {"grpc.max_connection_age", OptionKind::kDuration, "0s 7d", "",
     [](ServerConfig& c) -> Field { return &c.grpc.max_connection_age; },
     "after so long, give or take a tenth, a client is told to connect anew, so that it finds new replicas; "
     "calls under way go on; 0: never"},
    {"grpc.max_connection_age_grace", OptionKind::kDuration, "0s 1d", "",
     [](ServerConfig& c) -> Field { return &c.grpc.max_connection_age_grace; },
     "how long calls, streams above all, may go on on such a connection; then UNAVAILABLE; 0: no limit"},
    {"grpc.polling_threads", OptionKind::kCount, "0 16", "threads",
     [](ServerConfig& c) -> Field { return &c.polling_threads; },
     "of gRPC that wait for calls and read them; 0: one for every four cores; half the cores, or 2, are the "
     "most; more where many large messages arrive at once"},
    {"grpc.spin", OptionKind::kDuration, "0s 10ms", "",
     [](ServerConfig& c) -> Field { return &c.polling_spin; },
     "how long such a thread looks for the next call before it sleeps for good; answers a lone caller "
     "sooner, "
     "at the price of that time's processor time after each call; up to 200 µs of it are slept through where "
     "calls seldom come sooner; not while several requests are computed on the CPU or wait for it"},
    {"grpc.lame_duck", OptionKind::kDuration, "0s 10m", "",
     [](ServerConfig& c) -> Field { return &c.grpc.lame_duck; },
     "how long to serve on after health says NOT_SERVING; as long as load balancers take to see it",
     "--lame-duck"},
    {"grpc.drain_timeout", OptionKind::kDuration, "0s 1h", "",
     [](ServerConfig& c) -> Field { return &c.grpc.drain_timeout; },
     "how long calls under way at SIGTERM may take, then they are cancelled; below the orchestrator's grace "
     "period",
     "--drain-timeout"},

    {"grpc.reflection", OptionKind::kChoice, "auto on off", "",
     [](ServerConfig& c) -> Field { return &c.grpc.reflection; },
     "whether the services say what they are (grpcurl); auto: where callers are not asked who they are; on: "
     "to "
     "anybody"},

    {"decoding.threads", OptionKind::kCount, "0 1024", "threads",
     [](ServerConfig& c) -> Field { return &c.decoding.threads; }, "decode images; 0: one a core"},
    {"decoding.max_queued_images", OptionKind::kCount, "1 1000000", "images",
     [](ServerConfig& c) -> Field { return &c.decoding.max_queued_images; },
     "images of one model waiting to be decoded; beyond it, and for a priority below 1 beyond three quarters "
     "of it, RESOURCE_EXHAUSTED: a longer queue only makes every answer late; models are served in turn, and "
     "of a model its levels of priority"},
    {"decoding.max_queued_bytes", OptionKind::kBytes, "1KiB 64GiB", "",
     [](ServerConfig& c) -> Field { return &c.decoding.max_queued_bytes; },
     "images of one model waiting to be decoded, encoded and as model input; beyond it, and for a priority "
     "below 1 beyond three quarters of it, RESOURCE_EXHAUSTED; bounds memory"},
    {"decoding.max_pixels", OptionKind::kCount, "1 1000000000", "pixels",
     [](ServerConfig& c) -> Field { return &c.decode_limits.max_pixels; },
     "width x height of one image, before and after resizing; stops decompression bombs before they cost "
     "memory"},

    {"batching.max_batch_size", OptionKind::kCount, "1 65536", "rows",
     [](ServerConfig& c) -> Field { return &c.batching.max_batch_size; },
     "rows in one forward pass, where model.yaml does not say"},
    {"batching.max_queue_delay", OptionKind::kDuration, "0s 10s", "",
     [](ServerConfig& c) -> Field { return &c.batching.max_queue_delay; },
     "how long a lone request may wait for company, where model.yaml does not say; 0: batches form while the "
     "model is "
     "busy"},
    {"batching.max_queue_rows", OptionKind::kCount, "1 10000000", "rows",
     [](ServerConfig& c) -> Field { return &c.batching.max_queue_rows; },
     "rows waiting for a model; beyond it RESOURCE_EXHAUSTED; at least max_batch_size, which it is where it "
     "is not set and that is more"},
    {"batching.max_queue_bytes", OptionKind::kBytes, "1KiB 64GiB", "",
     [](ServerConfig& c) -> Field { return &c.batching.max_queue_bytes; },
     "input waiting for a model; beyond it RESOURCE_EXHAUSTED; bounds memory; a model whose model.yaml does "
     "not say has at least what its largest batch takes"},
    {"batching.queue_timeout", OptionKind::kDuration, "0s 1h", "",
     [](ServerConfig& c) -> Field { return &c.batching.queue_timeout; },
     "longest time from receipt to the batch, where model.yaml does not say; beyond it RESOURCE_EXHAUSTED; "
     "0: no limit but the client's deadline"},
    {"batching.instances", OptionKind::kCount, "0 256", "threads",
     [](ServerConfig& c) -> Field { return &c.batching.instances; },
     "run batches of one model side by side, where model.yaml does not say; they share the weights; 0: auto"},
    {"batching.inline_limit", OptionKind::kDuration, "0s 10ms", "",
     [](ServerConfig& c) -> Field { return &c.batching.inline_limit; },
     "a batch that is expected to take no longer runs on the thread of gRPC that read it, where model.yaml "
     "does not say and an instance is idle; other calls that this thread reads wait as long; 0: never"},
    {"batching.batches_per_device", OptionKind::kCount, "0 1024", "batches",
     [](ServerConfig& c) -> Field { return &c.batches_per_device; },
     "of all models, under way at once on a device: models whose batches wait take turns, and "
     "intra_op_threads is by default the cores shared by so many; 0: no limit, models share the device as "
     "its scheduler has it"},

    {"tickets.key_file", OptionKind::kText, "", "file",
     [](ServerConfig& c) -> Field { return &c.tickets.key_file; },
     "the ring of ticket keys, shared by replicas; empty: ticket_keys in data_dir, made on first start"},
    {"tickets.feedback_ttl", OptionKind::kDuration, "1m 3650d", "",
     [](ServerConfig& c) -> Field { return &c.tickets.feedback_ttl; },
     "how long after its prediction a label may come; old keys are needed as long"},
    {"tickets.max_classes", OptionKind::kCount, "2 65536", "classes",
     [](ServerConfig& c) -> Field { return &c.tickets.ticket_max_classes; },
     "above it tickets carry no logits: they stay small, and only top-label metrics come of them"},

    {"feedback.max_queued_labels", OptionKind::kCount, "1 10000000", "labels",
     [](ServerConfig& c) -> Field { return &c.feedback.max_queued_labels; },
     "labels waiting to be checked and for the store's writer; beyond it RESOURCE_EXHAUSTED"},
    {"feedback.max_queued_bytes", OptionKind::kBytes, "64KiB 64GiB", "",
     [](ServerConfig& c) -> Field { return &c.feedback.max_queued_bytes; },
     "tickets and class names of the labels waiting; beyond it RESOURCE_EXHAUSTED; bounds memory"},
    {"feedback.max_commit_labels", OptionKind::kCount, "1 100000", "labels",
     [](ServerConfig& c) -> Field { return &c.feedback.max_commit_labels; },
     "labels in one transaction: more are faster, fewer acknowledge the first one sooner"},
    {"feedback.max_backoff", OptionKind::kDuration, "20ms 1m", "",
     [](ServerConfig& c) -> Field { return &c.feedback.max_backoff; },
     "longest pause between attempts while the store fails: how soon feedback recovers"},

    {"monitoring.windows", OptionKind::kList, "", "names",
     [](ServerConfig& c) -> Field { return &c.monitoring.windows; },
     "last_N labels, last_T (90s, 15m, 1h, 7d), decay_T (half-life); another set folds the log again at "
     "start"},
    {"monitoring.bins", OptionKind::kCount, "1 1000", "bins",
     [](ServerConfig& c) -> Field { return &c.monitoring.bins; },
     "of confidence, in reliability diagrams and ECE; figures of other bins do not compare"},
    {"monitoring.window_max_labels", OptionKind::kCount, "1 1000000000", "labels",
     [](ServerConfig& c) -> Field { return &c.monitoring.window_max_labels; },
     "labels held for one calibrator's windows, at most 40 bytes each, of which the store takes 900 MB; a "
     "last_T window that has more says truncated"},
    {"monitoring.max_keys", OptionKind::kCount, "1 100000", "keys",
     [](ServerConfig& c) -> Field { return &c.monitoring.max_keys; },
     "(model, version, calibrator version) with windows; the one longest without a label goes first"},
    {"monitoring.slice_max_labels", OptionKind::kCount, "1 1000000000", "labels",
     [](ServerConfig& c) -> Field { return &c.monitoring.slice_max_labels; },
     "labels held for the windows of one slice, 40 bytes each, or as many as the longest last_N window "
     "needs; "
     "a last_T "
     "window that has more says truncated"},
    {"monitoring.slice_metrics", OptionKind::kChoice, "all alarm none", "",
     [](ServerConfig& c) -> Field { return &c.slice_metrics; },
     "series of each slice in /metrics: labels, ECE and alarm (at most 792 a model version), the alarm alone "
     "(264), or none"},
    {"monitoring.checkpoint_interval", OptionKind::kDuration, "1s 1d", "",
     [](ServerConfig& c) -> Field { return &c.monitoring.checkpoint_interval; },
     "how often the windows' state is saved: bounds what is folded again at a start after a crash"},
    {"monitoring.read_batch", OptionKind::kCount, "1 1000000", "rows",
     [](ServerConfig& c) -> Field { return &c.monitoring.read_batch; }, "rows read from the log at a time"},

    {"recalibration.fit_max_rows", OptionKind::kCount, "1 1000000000", "rows",
     [](ServerConfig& c) -> Field { return &c.recalibration.fit_max_rows; },
     "rows of one fit; bounds its time"},
    {"recalibration.fit_max_bytes", OptionKind::kBytes, "1KiB 1024GiB", "",
     [](ServerConfig& c) -> Field { return &c.recalibration.fit_max_bytes; },
     "logits of one fit, and what its method takes beside them (`vector_scaling`: twice as much again); "
     "bounds "
     "memory"},
    {"recalibration.shadows", OptionKind::kCount, "0 16", "calibrators",
     [](ServerConfig& c) -> Field { return &c.recalibration.shadows; },
     "newest FITTED ones of a model version that are scored on live labels without serving"},
    {"recalibration.max_queued_fits", OptionKind::kCount, "1 1000", "fits",
     [](ServerConfig& c) -> Field { return &c.recalibration.max_queued_fits; },
     "fits waiting for the fit thread; beyond it RESOURCE_EXHAUSTED"},
};

}  // namespace

absl::Span<const Option> OptionTable() { return kOptions; }

const Option* FindOption(absl::string_view name) {
  for (const Option& option : kOptions) {
    if (name == option.name) return &option;
  }
  return nullptr;
}

}  // namespace calserve
