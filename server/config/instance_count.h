#ifndef CALSERVE_SERVER_CONFIG_INSTANCE_COUNT_H_
#define CALSERVE_SERVER_CONFIG_INSTANCE_COUNT_H_

namespace calserve {

// How many threads run a model: `configured`, or where that is 0 (auto) one a core on a CPU, up to 4 (beyond,
// more threads in a pass do better than more passes), and 2 on a GPU (one's logits are answered while the
// other computes).
int ChooseInstances(int configured, bool on_cpu, int cores);

// LibTorch's threads in one forward pass: `configured`, or where that is 0 the cores shared by all
// `instances` of all models, at least 1.
int ChooseIntraOpThreads(int configured, int instances, int cores);

// gRPC's threads that wait for calls at once: `configured`, or where that is 0 one for every four cores, at
// least one. What they do for a call (parse, check, enqueue) takes tens of microseconds.
int ChoosePollingThreads(int configured, int cores);

}  // namespace calserve

#endif  // CALSERVE_SERVER_CONFIG_INSTANCE_COUNT_H_
