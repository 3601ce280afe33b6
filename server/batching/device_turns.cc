#include "server/batching/device_turns.h"

namespace calserve {

void DeviceTurns::Turn::GiveBack() {
  if (of_ != nullptr) std::exchange(of_, nullptr)->GiveBack();
}

DeviceTurns::Line::Line(std::shared_ptr<DeviceTurns> turns, const std::string& model)
    : turns_(std::move(turns)), model_(turns_ != nullptr ? turns_->Join(model) : nullptr) {}

DeviceTurns::Line::~Line() {
  if (turns_ != nullptr) turns_->Leave(model_);
}

std::optional<DeviceTurns::Turn> DeviceTurns::Line::TryTake() {
  if (turns_ == nullptr) return Turn();
  if (!turns_->TryTake(*this)) return std::nullopt;
  return Turn(turns_);
}

std::optional<DeviceTurns::Turn> DeviceTurns::Line::Take() {
  if (turns_ == nullptr) return Turn();
  if (!turns_->Take(*this)) return std::nullopt;
  return Turn(turns_);
}

void DeviceTurns::Line::Close() {
  if (turns_ != nullptr) turns_->Close(*this);
}

int DeviceTurns::waiting() const {
  MutexLock lock(&mu_);
  int waiting = 0;
  for (const auto& [last_turn, model] : next_) waiting += static_cast<int>(model->waiting.size());
  return waiting;
}

DeviceTurns::Model* DeviceTurns::Join(const std::string& name) {
  MutexLock lock(&mu_);
  Model& model = models_[name];
  if (model.lines++ == 0) model.last_turn = ++turns_;
  return &model;
}

void DeviceTurns::Leave(Model* model) {
  MutexLock lock(&mu_);
  if (--model->lines > 0) return;
  std::erase_if(models_, [model](const auto& entry) { return &entry.second == model; });
}

bool DeviceTurns::TryTake(Line& line) {
  MutexLock lock(&mu_);
  return TakeFree(*line.model_);
}

bool DeviceTurns::TakeFree(Model& model) {
  if (free_ == 0) return false;
  --free_;
  model.last_turn = ++turns_;
  return true;
}

bool DeviceTurns::Take(Line& line) {
  MutexLock lock(&mu_);
  if (line.closed_) return false;
  Model& model = *line.model_;
  if (TakeFree(model)) return true;
  Waiting own{&line};
  model.waiting.push_back(&own);
  next_.emplace(model.last_turn, &model);
  while (!own.given && !line.closed_) line.changed_.Wait(&mu_);
  if (own.given) return true;
  std::erase(model.waiting, &own);
  if (model.waiting.empty()) next_.erase({model.last_turn, &model});
  return false;
}

void DeviceTurns::Close(Line& line) {
  MutexLock lock(&mu_);
  line.closed_ = true;
  line.changed_.SignalAll();
}

void DeviceTurns::GiveBack() {
  MutexLock lock(&mu_);
  if (next_.empty()) {
    ++free_;
    return;
  }
  Model& model = *next_.begin()->second;
  next_.erase(next_.begin());
  Waiting& next = *model.waiting.front();
  model.waiting.pop_front();
  model.last_turn = ++turns_;
  if (!model.waiting.empty()) next_.emplace(model.last_turn, &model);
  next.given = true;
  next.line->changed_.SignalAll();
}

}  // namespace calserve
