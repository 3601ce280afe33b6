#include "server/http/crowd.h"

#include <sys/socket.h>

#include <algorithm>
#include <map>

#include "server/http/peer_address.h"

namespace calserve {

void Crowd::Arrive() {
  MutexLock lock(&mu_);
  ++connections_;
  MakeRoom();
}

void Crowd::MakeRoom() {
  if (connections_ - leaving_ <= threads_) return;
  // Not every thread has its place yet: whom to choose is known soon, when somebody is kept waiting.
  if (static_cast<int>(entries_.size()) < threads_) return;
  // With those that are about to leave: in a burst of one peer's, it has most all the while.
  std::map<std::string, int> of_peer;
  int most = 0;
  for (const Entry& entry : entries_) {
    if (entry.may_go) most = std::max(most, ++of_peer[entry.peer]);
  }
  const auto chosen = std::find_if(entries_.begin(), entries_.end(), [&](const Entry& entry) {
    return entry.may_go && !entry.cut && of_peer[entry.peer] == most;
  });
  if (chosen == entries_.end()) return;
  chosen->cut = true;
  ++leaving_;
  shutdown(chosen->socket, SHUT_RDWR);  // Wakes whoever waits for it.
}

Crowd::Place::Place(Crowd& crowd, int socket) : crowd_(crowd) {
  MutexLock lock(&crowd_.mu_);
  entry_ = crowd_.entries_.insert(crowd_.entries_.end(), Entry{socket, PeerOf(socket).host});
}

Crowd::Place::~Place() {
  MutexLock lock(&crowd_.mu_);
  --crowd_.connections_;
  if (entry_->cut) --crowd_.leaving_;
  crowd_.entries_.erase(entry_);
}

void Crowd::Place::SetMayGo(bool may_go) {
  MutexLock lock(&crowd_.mu_);
  entry_->may_go = may_go;
}

void Crowd::Place::KeptWaiting() {
  MutexLock lock(&crowd_.mu_);
  crowd_.MakeRoom();
}

}  // namespace calserve
