#include <iostream>
#include <limits>
#include <map>
#include <memory>
#include <optional>

#include "CLI/CLI.hpp"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "calibration_io/file.h"
#include "client/cli/commands.h"
#include "client/cli/json_output.h"
#include "client/cli/option_rules.h"
#include "client/cli/printable.h"

namespace calserve::cli {
namespace {

struct Options {
  std::string file = "-";
  std::string ticket;
  std::string label;
  std::optional<int32_t> class_index;  // instead of label
  bool one = false;                    // --ticket was given
  std::string source;
  std::optional<double> inclusion_probability;  // of each label that has none of its own
};

constexpr size_t kBatch = 500;  // labels in one request

// Sends labels in batches and counts what became of them.
class Sender {
 public:
  Sender(const Client& client, const Options& options, Session& session)
      : options_(options),
        session_(session),
        stream_(client.OpenFeedbackStream(
            {.max_in_flight = 16, .timeout = client.options().timeout},
            [this](int64_t, absl::StatusOr<std::vector<client::FeedbackResult>> results) {
              if (results.ok()) Count(*results);
            })) {}

  absl::Status Add(client::Feedback item) {
    if (!item.inclusion_probability.has_value()) item.inclusion_probability = options_.inclusion_probability;
    batch_.push_back(std::move(item));
    return batch_.size() < kBatch ? absl::OkStatus() : Flush();
  }

  // Sends the rest and waits until all of it is answered.
  absl::Status Finish() {
    if (absl::Status status = Flush(); !status.ok()) return status;
    if (absl::Status status = stream_->Finish(); !status.ok()) return status;
    if (session_.json) return Verdict();
    Print(absl::StrCat(counts_["ACCEPTED"], " accepted, ", counts_["DUPLICATE"], " duplicate, ",
                       counts_["REJECTED"], " rejected\n"));
    return Verdict();
  }

 private:
  absl::Status Flush() {
    if (batch_.empty()) return absl::OkStatus();
    const absl::Status status = stream_->Send(++sequence_, batch_, options_.source);
    batch_.clear();
    return status;
  }

  // On the stream's thread.
  void Count(const std::vector<client::FeedbackResult>& results) {
    for (const client::FeedbackResult& result : results) {
      ++counts_[OutcomeName(result.outcome)];
      if (session_.json) Show(ToJson(result));
      if (result.outcome != client::FeedbackResult::Outcome::kRejected) continue;
      if (first_rejection_.empty()) first_rejection_ = absl::StrCat(result.reason, ": ", result.message);
      if (!session_.json)
        std::cerr << Printable(absl::StrCat("rejected, ", result.reason, ": ", result.message)) << "\n";
    }
  }

  // A file has a line for each label; one ticket has one document, which may yet get an error.
  void Show(nlohmann::ordered_json result) {
    if (options_.one) {
      session_.answer = std::move(result);
    } else {
      PrintJson(result);
    }
  }

  absl::Status Verdict() {
    if (counts_["REJECTED"] == 0) return absl::OkStatus();
    return absl::FailedPreconditionError(
        absl::StrCat(counts_["REJECTED"], " labels were rejected, the first for ", first_rejection_));
  }

  const Options& options_;
  Session& session_;
  std::vector<client::Feedback> batch_;
  int64_t sequence_ = 0;
  std::map<std::string, int64_t> counts_;  // read again only after Finish
  std::string first_rejection_;
  const std::unique_ptr<client::FeedbackStream> stream_;  // Last: its thread calls Count.
};

absl::Status SendLines(const std::string& path, Sender* sender) {
  absl::StatusOr<LineReader> lines = LineReader::Open(path);
  if (!lines.ok()) return lines.status();
  while (true) {
    const absl::StatusOr<std::optional<std::string>> line = lines->Next();
    if (!line.ok()) return line.status();
    if (!line->has_value()) return absl::OkStatus();
    if (absl::StripAsciiWhitespace(**line).empty()) continue;
    absl::StatusOr<client::Feedback> item = FeedbackFromJson(**line);
    if (!item.ok()) {
      return absl::InvalidArgumentError(absl::StrCat(lines->Place(), ": ", item.status().message()));
    }
    if (absl::Status status = sender->Add(*std::move(item)); !status.ok()) return status;
  }
}

absl::Status SendOne(const Options& options, Sender* sender) {
  if (options.ticket.empty()) return UsageError("--ticket is empty");
  absl::StatusOr<std::string> ticket = TicketFromBase64(options.ticket);
  if (!ticket.ok()) return UsageError(absl::StrCat("--ticket: ", ticket.status().message()));
  client::Feedback item{*std::move(ticket), options.label};
  if (options.class_index.has_value()) item.label = *options.class_index;
  return sender->Add(std::move(item));
}

absl::Status Run(const Options& options, Session& session) {
  const absl::StatusOr<Client> client = session.Connect();
  if (!client.ok()) return client.status();
  Sender sender(*client, options, session);
  const absl::Status sent = options.one ? SendOne(options, &sender) : SendLines(options.file, &sender);
  const absl::Status finished = sender.Finish();  // also after an error: what was read before it counts
  return sent.ok() ? finished : sent;
}

}  // namespace

void AddFeedback(CLI::App* app, Session* session) {
  CLI::App* const command = app->add_subcommand("feedback",
                                                "Send true labels: {\"ticket\": BASE64, \"label\": NAME or "
                                                "INDEX}, a line each; a string is a name, also "
                                                "one of digits, a number an index; and where it is known "
                                                "\"inclusion_probability\"");
  const auto options = std::make_shared<Options>();
  CLI::Option* const file = command->add_option("file", options->file, "JSON lines; - is standard input")
                                ->check(InputFile())
                                ->capture_default_str();
  CLI::Option* const ticket = command->add_option("--ticket", options->ticket, "one ticket, in base64");
  ticket->excludes(file);
  CLI::Option* const label =
      command->add_option("--label", options->label, "name of its true class, also one of digits")
          ->check(Utf8());
  CLI::Option* const class_index =
      command->add_option("--class-index", options->class_index, "index of its true class, from 0")
          ->check(WholeNumber(0, std::numeric_limits<int32_t>::max()));
  label->needs(ticket)->excludes(class_index);
  class_index->needs(ticket);
  command->add_option("--source", options->source, "who or what labelled")->check(Utf8());
  command
      ->add_option(
          "--inclusion-probability", options->inclusion_probability,
          "with what probability each prediction was chosen to be labelled, (0, 1]; a line's own counts "
          "before it")
      ->check(Share(Upto::kOne));
  command->callback([=] {
    options->one = ticket->count() > 0;
    if (options->one && label->count() + class_index->count() == 0) {
      session->result = UsageError("--ticket needs --label or --class-index");
      return;
    }
    session->result = Run(*options, *session);
  });
}

}  // namespace calserve::cli
