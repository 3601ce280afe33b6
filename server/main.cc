// calserve-server: the whole server in the order in which data flows.
//   configuration -> store, tickets -> calibrators -> repository of models -> main path -> feedback
//   -> monitoring -> admin port -> gRPC -> drain

#include <signal.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdlib>
#include <cstring>
#include <future>
#include <iostream>
#include <memory>
#include <stop_token>
#include <string>
#include <utility>
#include <variant>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "server/base/accepting.h"
#include "server/base/clock.h"
#include "server/base/periodic.h"
#include "server/check_models.h"
#include "server/config/cpu_limit.h"
#include "server/config/exit_codes.h"
#include "server/config/instance_count.h"
#include "server/config/load_config.h"
#include "server/config/server_config.h"
#include "server/dashboard.h"
#include "server/feedback/class_names.h"
#include "server/feedback/feedback_ingestor.h"
#include "server/feedback/retention.h"
#include "server/feedback/store.h"
#include "server/feedback/tickets.h"
#include "server/http/admin_server.h"
#include "server/live_view.h"
#include "server/logging/log.h"
#include "server/main_signals.h"
#include "server/model/model_repository.h"
#include "server/model/unpacking_folder.h"
#include "server/monitoring/alarm_settings.h"
#include "server/monitoring/calibration_monitor.h"
#include "server/monitoring/report_hub.h"
#include "server/monitoring_log.h"
#include "server/prediction/not_ready.h"
#include "server/prediction/predictor.h"
#include "server/prediction/serving_table.h"
#include "server/recalibration/calibrator_registry.h"
#include "server/recalibration/refit_controller.h"
#include "server/refit_hooks.h"
#include "server/rpc/grpc_server.h"
#include "server/rpc/library_logs.h"
#include "server/rpc/polling_threads.h"
#include "server/security.h"
#include "server/served_repository.h"
#include "server/trial.h"
#include "text/standard_streams.h"

namespace calserve {
namespace {

// What a drain timeout that has passed leaves to the repository to notice that there is nothing to wait for.
constexpr absl::Duration kLastWork = absl::Seconds(1);

// Failing to start: the exit code tells an orchestrator which part, the line tells a person why.
int Fail(int exit_code, const absl::Status& status) {
  LogCritical(absl::StrCat("cannot start: ", status.message()));
  return exit_code;
}

// The exit code of a run that was to print something: it counts once it is written.
int AfterPrinting(int exit_code) {
  if (std::cout.flush()) return exit_code;
  std::cerr << "cannot write to standard output: what it goes to is full or closed\n";
  return exit_code == kExitOk ? kExitOutput : exit_code;
}

// Returns when the server is to stop, with what it is to exit with.
int WaitUntilStopped(const ServerConfig& config, MainSignals& signals, GrpcServer& server, LiveView& view) {
  for (bool told = false; signals.stop() == 0;) {
    if (told || !signals.device_lost()) {
      signals.Wait();
      continue;
    }
    told = true;
    view.SetNotReady("device lost");  // First: whoever hears it from gRPC finds /readyz to say the same.
    server.SetNotReady();
    LogCritical("device lost: not ready any more", {{"device_error_policy", config.device_error_policy}});
    if (config.device_error_policy == "exit") return kExitDevice;
  }
  LogInfo("stopping", {{"signal", strsignal(signals.stop())},
                       {"lame_duck", absl::FormatDuration(config.grpc.lame_duck)},
                       {"drain_timeout", absl::FormatDuration(config.grpc.drain_timeout)}});
  return kExitOk;
}

// For calls that do not end and may yet use the ingestor: waits until its writer has taken what is queued,
// kLastWork at most. No label is acknowledged before it is committed.
void AwaitCommits(const FeedbackIngestor& ingestor) {
  const absl::Time end = absl::Now() + kLastWork;
  while (ingestor.counters().queued_labels > 0 && absl::Now() < end) absl::SleepFor(absl::Milliseconds(10));
}

// For whoever stops after the drain timeout although a load or a call is under way, which nothing can
// interrupt. What has to be written is written; what that still uses must not be destroyed.
[[noreturn]] void LeaveAtOnce(const ModelRepository& repository, int exit_code) {
  for (const ModelStatus& model : repository.List()) {
    for (const VersionStatus& version : model.versions) {
      if (version.state != VersionState::kLoading) continue;
      LogWarning("drain timeout passed: still loading",
                 {{"model", model.name}, {"version", version.version}});
    }
  }
  LogInfo("stopped");
  std::_Exit(exit_code);
}

int Serve(const ServerConfig& config) {
  MainSignals signals;
  const Clock& clock = Clock::System();

  absl::StatusOr<Security> security = OpenSecurity(config, clock);
  if (!security.ok()) return Fail(kExitConfig, security.status());

  absl::StatusOr<std::unique_ptr<Store>> store = OpenStore(config.store);
  if (!store.ok()) return Fail(kExitStore, store.status());
  absl::StatusOr<std::unique_ptr<TicketSealer>> tickets =
      CreateTicketSealer(config.tickets, config.store.data_dir, (*store)->deployment_id(), clock);
  if (!tickets.ok()) return Fail(kExitStore, tickets.status());

  ClassNames class_names(**store);
  ServingTable table;
  AlarmSettings alarms;
  SliceSettings slices;
  RefitSettings refit_settings;
  absl::StatusOr<std::unique_ptr<CalibratorRegistry>> registry = CalibratorRegistry::Create(
      config.recalibration, **store, clock, [&table](const CalibratorVersion& active) {
        if (!table.SetCalibrator(active.model, active.model_version, ToServed(active))) return;
        LogInfo("calibrator active", {{"model", active.model},
                                      {"version", active.model_version},
                                      {"calibrator", active.version},
                                      {"method", MethodName(active.spec.method)}});
      });
  if (!registry.ok()) return Fail(kExitStore, registry.status());
  const auto device_lost = [&signals](const absl::Status& status) {
    if (!signals.device_lost()) LogCritical(status.message());
    signals.TellDeviceLost();
  };
  std::promise<absl::Status> loading;
  std::future<absl::Status> loaded = loading.get_future();
  const std::unique_ptr<ModelRepository> repository = ModelRepository::Start(
      config.repository,
      ConnectRepository(config, **registry, class_names, table, alarms, slices, refit_settings, device_lost),
      [&loading, &signals](absl::Status status) {
        loading.set_value(std::move(status));
        signals.Wake();
      });
  while (signals.stop() == 0 && loaded.wait_for(std::chrono::seconds(0)) != std::future_status::ready) {
    signals.Wait();
  }
  if (signals.stop() != 0) {
    LogInfo("stopping before it serves",
            {{"signal", strsignal(signals.stop())},
             {"drain_timeout", absl::FormatDuration(config.grpc.drain_timeout)}});
    if (!repository->Stop(std::max(config.grpc.drain_timeout, kLastWork))) {
      LeaveAtOnce(*repository, kExitOk);
    }
    LogInfo("stopped");
    return kExitOk;
  }
  if (const absl::Status status = loaded.get(); !status.ok()) {
    const bool restart_may_help = signals.device_lost() && config.device_error_policy == "exit";
    return Fail(restart_may_help ? kExitDevice : kExitModel, status);
  }
  table.SetWhyNotPublished([&repository](const std::string& name, const VersionChoice& choice) {
    return WhyNotReady(repository->List(), name, choice, repository->takes_calls());
  });

  DecodingOptions decoding = config.decoding;
  if (decoding.threads == 0) decoding.threads = AvailableCores();
  Predictor predictor(decoding, table, **tickets, clock);

  absl::StatusOr<std::unique_ptr<CalibrationMonitor>> monitor = CalibrationMonitor::Create(
      config.monitoring, **store, clock,
      [&registry](const std::string& model, int64_t model_version, int64_t version) {
        return (*registry)->Find(model, model_version, version);
      },
      [&alarms](const std::string& model) { return alarms.Of(model); },
      [&slices](const std::string& model) { return slices.Of(model); });
  if (!monitor.ok()) return Fail(kExitStore, monitor.status());
  (*monitor)->SetShadows([&registry] { return (*registry)->Shadows(); });
  const std::unique_ptr<ReportHub> hub = ReportHub::Create(**monitor, clock);
  std::unique_ptr<RefitController> refits = RefitController::Create(
      {.max_rows = config.recalibration.fit_max_rows, .max_bytes = config.recalibration.fit_max_bytes},
      refit_settings, **registry, **monitor, **store, clock, ConnectRefits(table, **monitor, *hub));

  absl::StatusOr<std::unique_ptr<FeedbackIngestor>> ingestor = FeedbackIngestor::Create(
      config.feedback, **tickets, **store, clock,
      [&class_names](const TicketContent& prediction, const std::string& label) {
        return class_names.Find(prediction.model, prediction.model_digest, label);
      },
      [&monitor, &refits] {
        (*monitor)->Notify();
        refits->Notify();
      });
  if (!ingestor.ok()) return Fail(kExitStore, ingestor.status());

  const Periodic retention(absl::Hours(1), [&](const std::stop_token& stop) {
    // Only what is folded and in the checkpoint may go: windows are the same to the bit after any restart.
    if ((*monitor)->state().catching_up || !(*monitor)->SaveCheckpoint().ok()) return;
    const absl::StatusOr<int64_t> deleted = DeleteExpired(**store, clock.Now(), config.retention, stop);
    if (!deleted.ok()) LogWarning("retention", {{"error", deleted.status().message()}});
    if (deleted.ok() && *deleted > 0) LogInfo("retention", {{"deleted", *deleted}});
  });

  const Periodic monitoring_log(
      absl::Seconds(5),
      [&monitor, log = MonitoringLog()](const std::stop_token&) mutable { log.Tell((*monitor)->state()); });

  LiveView view(table, *repository, predictor, **ingestor, **monitor, *hub, *refits,
                config.monitoring.windows, config.slice_metrics);
  std::unique_ptr<Dashboard> dashboard;
  std::unique_ptr<AdminServer> admin;
  if (config.admin.enabled()) {
    dashboard = std::make_unique<Dashboard>(Dashboard::Sources{view, table, *repository, **monitor, *hub,
                                                               **registry, clock, config.monitoring.windows});
    absl::StatusOr<std::unique_ptr<AdminServer>> started = AdminServer::Start(
        config.admin, view,
        {security->access.get(), config.AdminTls() ? security->tls.get() : nullptr, security->audit.get()},
        dashboard.get());
    if (!started.ok()) return Fail(kExitAddress, started.status());
    admin = *std::move(started);
    LogInfo("admin", {{"address", admin->address()}});
  }

  LimitPollingThreads(ChoosePollingThreads(config.polling_threads, AvailableCores()));
  SpinPollingThreads(config.polling_spin);
  absl::StatusOr<std::unique_ptr<GrpcServer>> server = GrpcServer::Start(
      config.grpc, {predictor, table, **ingestor, **registry, **monitor, *hub, config.recalibration,
                    repository.get(), security->access.get(), security->audit.get(), security->tls.get(),
                    refits.get(), config.monitoring.windows});
  if (!server.ok()) return Fail(kExitAddress, server.status());
  view.SetReady();
  LogInfo("serving", {{"address", (*server)->address()}});

  const int exit_code = WaitUntilStopped(config, signals, **server, view);
  view.SetNotReady(exit_code == kExitOk ? "stopping" : "stopping: a device is lost");
  const absl::Time end = absl::Now() + config.grpc.lame_duck + config.grpc.drain_timeout;
  repository->StopLoading();
  refits->StopAttempts();  // A client's fit may wait behind one.
  const GrpcServer::Drained drained = (*server)->Drain();
  if (drained.cancelled > 0) LogWarning("drain timeout passed: calls", {{"cancelled", drained.cancelled}});
  if (drained.stuck > 0) LogError("calls do not end: left as they are", {{"calls", drained.stuck}});
  // Where no request is under way, the instances let go of the last before what they answer with is
  // destroyed.
  const bool work_ended = drained.stuck == 0 && repository->Stop(std::max(end - absl::Now(), kLastWork));
  admin.reset();  // Until here the metrics of the drain could be read.
  dashboard.reset();
  if (work_ended) server->reset();
  if (drained.stuck == 0) {
    ingestor->reset();  // Commits what is queued.
    refits.reset();
  } else {
    AwaitCommits(**ingestor);
  }
  if (absl::Status status = (*monitor)->SaveCheckpoint(); !status.ok()) {
    LogWarning("fold state not saved, the next start reads more of the log", {{"error", status.message()}});
  }
  if (!work_ended) LeaveAtOnce(*repository, exit_code);
  LogInfo("stopped");
  return exit_code;
}

}  // namespace
}  // namespace calserve

int main(int argc, char** argv) {
  using namespace calserve;
  KeepStandardStreams();
  signal(SIGPIPE, SIG_IGN);
  RaiseOpenFileLimit();
  signal(SIGCHLD, SIG_DFL);  // Whoever starts this may ignore it: then nobody could wait for a trial.
#ifdef NDEBUG
  // Debian's Abseil looks at the order of every lock, gRPC's too, under one that all threads share: for the
  // builds that are tested, not served.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
#endif
  const Environment environment = ProcessEnvironment();
  const bool terminal = isatty(STDERR_FILENO) == 1;
  // For what keeps the configuration from being read.
  const auto early_format = environment.find("CALSERVE_LOG_FORMAT");
  StartLogging(LogFormatFor(early_format == environment.end() ? "auto" : early_format->second, terminal));
  RouteLibraryLogs();
  absl::StatusOr<std::variant<ServerConfig, EarlyExit>> config = LoadConfig(argc, argv, environment);
  if (!config.ok()) return Fail(kExitConfig, config.status());
  if (const auto* early = std::get_if<EarlyExit>(&*config)) {
    (early->code == kExitOk ? std::cout : std::cerr) << early->text;
    return AfterPrinting(early->code);
  }
  StartLogging(LogFormatFor(std::get<ServerConfig>(*config).log_format, terminal));
  (void)SetLogLevel(std::get<ServerConfig>(*config).log_level);  // One of the option's choices.
  const auto unpacking = UnpackingFolder::Create();
  if (!unpacking.ok()) {
    LogWarning("compiled models have no folder of their own to be unpacked in",
               {{"error", unpacking.status().message()}});
  }
  if (std::get<ServerConfig>(*config).trial != 0) return RunTrial(std::get<ServerConfig>(*config));
  if (!std::get<ServerConfig>(*config).check.empty()) {
    return AfterPrinting(CheckModels(std::get<ServerConfig>(*config), std::cout, std::cerr));
  }
  return Serve(std::get<ServerConfig>(*config));
}
