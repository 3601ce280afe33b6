#ifndef CALSERVE_SERVER_HTTP_CROWD_H_
#define CALSERVE_SERVER_HTTP_CROWD_H_

#include <list>
#include <string>

#include "absl/base/thread_annotations.h"
#include "server/base/mutex.h"

namespace calserve {

// The connections of a server with a thread for each, of which there are so many. Where one more arrives than
// there are threads, one that keeps its thread waiting gives way: of the peer that has most of such, the one
// that came first. So no number of clients that send or take a byte now and then can keep out those who do
// not, and one peer's only drive out each other. Thread-safe.
class Crowd final {
 private:
  struct Entry {
    int socket;
    std::string peer;  // its address, without the port
    bool may_go = true;
    bool cut = false;
  };

 public:
  explicit Crowd(int threads) : threads_(threads) {}

  // A connection was accepted: its Place is made later, on its thread.
  void Arrive();

  // A connection on its thread, to its end; may be cut off but between Keep and MayGo. Different places may
  // be used at the same time.
  class Place final {
   public:
    // `socket` is open for as long as the place lasts. The Crowd outlives it.
    Place(Crowd& crowd, int socket);
    ~Place();
    Place(const Place&) = delete;
    Place& operator=(const Place&) = delete;

    void Keep() { SetMayGo(false); }
    void MayGo() { SetMayGo(true); }
    // The client still keeps its thread waiting: looks whether somebody must give way by now.
    void KeptWaiting();

   private:
    void SetMayGo(bool may_go);

    Crowd& crowd_;
    std::list<Entry>::iterator entry_;
  };

 private:
  void MakeRoom() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mu_);

  const int threads_;
  Mutex mu_;
  int connections_ ABSL_GUARDED_BY(mu_) = 0;       // that arrived and have not ended
  int leaving_ ABSL_GUARDED_BY(mu_) = 0;           // of those, cut off
  std::list<Entry> entries_ ABSL_GUARDED_BY(mu_);  // the first to come first
};

}  // namespace calserve

#endif  // CALSERVE_SERVER_HTTP_CROWD_H_
