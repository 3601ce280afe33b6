#include "server/http/crowd.h"

#include <sys/socket.h>

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
  std::map<std::string, int> of_peer;
  for (const Entry& entry : entries_) {
    if (entry.may_go && !entry.cut) ++of_peer[entry.peer];
  }
  Entry* chosen = nullptr;
  int most = 0;
  for (Entry& entry : entries_) {
    if (!entry.may_go || entry.cut || of_peer[entry.peer] <= most) continue;
    most = of_peer[entry.peer];
    chosen = &entry;
  }
  if (chosen == nullptr) return;
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
