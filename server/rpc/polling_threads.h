#ifndef CALSERVE_SERVER_RPC_POLLING_THREADS_H_
#define CALSERVE_SERVER_RPC_POLLING_THREADS_H_

#include <grpc/grpc.h>

#include <vector>

#include "absl/time/time.h"
#include "server/base/gathered_answers.h"

namespace calserve {

// How many of the threads of gRPC's callback API wait for events at once: process-wide, for those that gRPC
// starts from now on; at least 1. The others sleep until one of those or gRPC ends. gRPC starts half as many
// as there are cores, at least 2 and at most 16, and they relay: a thread that takes an event wakes the next
// to wait in its place, two switches for each call on a machine of few cores. gRPC has no option for it.
//
// With this library linked the threads that wait never rest. gRPC 1.51 has each sleep for 100 ms after a
// second without an event, and a call that comes while all of them do waits as long. They also do what was
// left for them by RunBeforeWaiting (base/before_waiting.h).
//
// Done below gRPC: those threads call grpc_completion_queue_next, and ld's --wrap gives them the function of
// polling_threads.cc instead. Completion queues of other threads are left alone.
void LimitPollingThreads(int threads);

// How long each of those threads that wait for events looks for more before it sleeps, after every event,
// from now on; 0 unless set. A call that comes meanwhile finds a core that is awake, but for the part
// in which events have seldom come lately: that the thread sleeps through (HybridPoll). Not while
// several requests are computed, or wait for it (OnCores): where cores are few those want this one, and the
// callers.
void SpinPollingThreads(absl::Duration spin);

// Has a polling thread give the answers of a batch, soon: each finishes a call, of which gRPC then tells the
// polling thread three times, and any other thread would wake it for each. One or two, and on a polling
// thread any number, are given at once. `call`: gRPC's, of one of them; where they are of several servers any
// one's threads may give them all.
void GiveWherePolled(grpc_call* call, std::vector<GatheredAnswers::Answer> answers);

// Has `answer`, of gRPC's `call`, given so with the others of the batch whose answers the calling thread
// gathers (GatheredAnswers). False where it gathers none: the caller gives it.
bool KeepForBatch(grpc_call* call, GatheredAnswers::Answer answer);

}  // namespace calserve

#endif  // CALSERVE_SERVER_RPC_POLLING_THREADS_H_
